import type { ConfigReport } from '../config.ts'
import { examineRedis } from '../limits/open-shared.ts'
import type { Check } from './check.ts'

/** Looks at the Redis that counts limits, if one is configured. */
export async function examineLimits({ config }: ConfigReport): Promise<readonly Check[]> {
  return config?.redisUrl === undefined ? [] : await examineRedis(config.redisUrl)
}
