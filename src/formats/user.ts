import { z } from 'zod'
import { colorOf } from '../domain/color.ts'
import { notForFormat } from './ask.ts'
import { httpUrl, subject, text } from './fields.ts'
import type { Format } from './format.ts'

const request = z
  .strictObject({
    userId: subject(128).describe('Who the token is for: becomes `sub`, and is who is limited.'),
    name: text(1, 200).describe('The name that others see.'),
    avatar: httpUrl(2_048).optional().describe('A picture that others see.'),
  })
  .meta({
    examples: [{ userId: 'user-1', name: 'Alice', avatar: 'https://example.com/alice.png' }],
  })

const held = z.object({ name: z.string(), avatar: z.string().optional(), color: z.string() })

/** Identifies a user within an environment (modelled on Pulse; WIRE 1). */
export const user: Format<typeof request, typeof held> = {
  name: 'user',
  algorithm: 'HS256',
  lifetime: { defaultSeconds: 3_600, longestSeconds: 86_400 },
  request,
  subject: ({ userId }) => userId,
  askedTtlSeconds: () => undefined,
  needs: () => ({}),
  claims: ({ userId, name, avatar }, { environmentId }) => ({
    sub: userId,
    name,
    ...(avatar === undefined ? {} : { avatar }),
    color: colorOf(environmentId, userId),
  }),
  policy: () => ({}),
  held,
  // Its holder may be in this environment; what there is to do there is the realtime server's own matter.
  permits: (_claims, { ask }, trial) =>
    ask === undefined ? undefined : trial.hold('ask', notForFormat('user')),
}
