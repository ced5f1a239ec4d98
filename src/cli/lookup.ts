import { JetonError } from '../domain/errors.ts'
import type { Installation } from '../installation.ts'
import type { ApiKey, Environment } from '../store/store.ts'

/** @throws JetonError `not_found` */
export async function needEnvironment({ store }: Installation, id: string): Promise<Environment> {
  const environment = await store.findEnvironment(id)
  if (environment === undefined) throw new JetonError('not_found', 'There is no such environment.')
  return environment
}

/** @throws JetonError `not_found` */
export async function needKey({ store }: Installation, id: string): Promise<ApiKey> {
  const key = await store.findApiKey(id)
  if (key === undefined) throw new JetonError('not_found', 'There is no such key.')
  return key
}
