import { z } from 'zod'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'

export const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))

/** What a caller sends where a secret could stand. */
export const CANARY = 'canary-7f3a9c51e2d84b06'

/** Short enough to stand whole in what a JSON parser says of a text that it cannot read. */
export const SHORT_CANARY = 'Zk7Qw9Xp'

/** Where alerts are sent, and what signs them. */
export const WEBHOOK = {
  secret: Buffer.from(systemSeams.random(32)),
  path: 'hook-canary-51b0e6d2a7',
  password: 'password-canary-9d4c03f1be',
}

/** The answer to what makes an environment, over HTTP and on the command line. */
export const madeEnvironment = z.object({
  environment: z.object({ id: z.string() }),
  keyId: z.string(),
  secretKey: z.string(),
})
