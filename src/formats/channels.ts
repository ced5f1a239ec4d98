import { z } from 'zod'
import { JetonError } from '../domain/errors.ts'
import { isReserved, type Pattern, parsePattern, RESERVED_PREFIXES } from '../domain/pattern.ts'
import { notForFormat } from './ask.ts'
import { jsonObject, seconds, subject } from './fields.ts'
import type { Claims, Format, Lifetime, MintContext } from './format.ts'
import { iceServers } from './ice-servers.ts'
import { PERMISSIONS, tryChannelAsk } from './permissions.ts'

const lifetime: Lifetime = { defaultSeconds: 3_600, longestSeconds: 86_400 }

/** How far beyond the longest life `exp` may be without being refused: the caller's clock may be ahead. */
const CLOCK_LEEWAY_SECONDS = 10

const MOST_CHANNELS = 100

/** What a holder may do when the request does not say: `send` is asked for by name. */
const DEFAULT_PERMISSIONS = ['publish', 'subscribe', 'presence'] as const

/** Whom a channels token is for. */
export const peerId = subject(128).regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')

const channel = z.string().transform((value, context): Pattern => {
  const pattern = parsePattern(value)
  if ('fault' in pattern) {
    context.addIssue(pattern.fault)
    return z.NEVER
  }
  if (isReserved(pattern)) {
    const message = `is reserved: nothing under ${RESERVED_PREFIXES.join(', ')} can be granted`
    context.addIssue({ code: 'custom', message, params: { error: 'channel_reserved' } })
  }
  return pattern
})

const metadata = jsonObject(8_192).superRefine((value, context) => {
  if (value.iceServers === undefined) return
  for (const { message, path } of iceServers.safeParse(value.iceServers).error?.issues ?? []) {
    context.addIssue({ code: 'custom', message, path: ['iceServers', ...path] })
  }
})

const request = z
  .strictObject({
    peerId: peerId.optional().describe('Who the token is for: becomes `sub`, and is who is limited.'),
    sub: peerId.optional().describe('The older spelling of `peerId`.'),
    channels: z
      .array(channel)
      .max(MOST_CHANNELS, `must be at most ${MOST_CHANNELS} entries`)
      .optional()
      .describe(
        'Channel patterns: `*` is any run without `/`, `**` any run. Left out: the key’s own, else none.',
      ),
    permissions: z
      .array(z.enum(PERMISSIONS, `must be one of ${PERMISSIONS.join(', ')}`))
      .refine((values) => new Set(values).size === values.length, 'must not hold the same one twice')
      .optional()
      .describe('Left out: the key’s own, else publish, subscribe and presence.'),
    expiresInSec: seconds(1, lifetime.longestSeconds).optional(),
    exp: z.int('must be a whole number').optional().describe('Unix seconds, instead of `expiresInSec`.'),
    metadata: metadata.optional().describe('Seen by the holder alone.'),
    peerMetadata: jsonObject(4_096).optional().describe('Seen by the other peers.'),
  })
  .refine(({ expiresInSec, exp }) => expiresInSec === undefined || exp === undefined, {
    path: ['exp'],
    error: 'must not stand beside `expiresInSec`',
  })
  .transform(({ peerId, sub, ...asked }, context) => {
    const subject = peerId ?? sub
    if (subject !== undefined && (peerId === undefined || sub === undefined)) return { ...asked, subject }
    context.addIssue({
      code: 'custom',
      path: ['peerId'],
      message: 'is needed, once: as `peerId` or as `sub`',
    })
    return z.NEVER
  })
  .meta({
    examples: [
      { peerId: 'u_alice_123', channels: ['app_abc/room-1'], permissions: ['publish', 'subscribe'] },
    ],
  })

const held = z.object({
  channels: z.array(z.string()).max(MOST_CHANNELS),
  permissions: z.array(z.enum(PERMISSIONS)),
  metadata: z.record(z.string(), z.unknown()).optional(),
  peerMetadata: z.record(z.string(), z.unknown()).optional(),
})

/** Lets a peer act on channels (modelled on Metered realtime; WIRE 2). */
export const channels: Format<typeof request, typeof held> = {
  name: 'channels',
  algorithm: 'HS256',
  lifetime,
  request,
  subject: ({ subject }) => subject,
  askedTtlSeconds: ({ expiresInSec, exp }, now, longestSeconds) =>
    exp === undefined ? expiresInSec : untilExp(exp, now, longestSeconds),
  needs: ({ channels, permissions }) => ({ channels, permissions }),
  claims: (asked, { grant, iceServer }) => {
    const metadata = withIceServer(asked.metadata, iceServer)
    return {
      sub: asked.subject,
      // An omission never means everything: it falls to what the key holds by name, or to nothing.
      channels: asked.channels?.map(({ text }) => text) ?? grant.channels ?? [],
      permissions: asked.permissions ?? grant.permissions ?? DEFAULT_PERMISSIONS,
      ...(metadata === undefined ? {} : { metadata }),
      ...(asked.peerMetadata === undefined ? {} : { peerMetadata: asked.peerMetadata }),
    }
  },
  policy: ({ channels, permissions }) => ({ channels, permissions }),
  held,
  permits: ({ channels, permissions }, { ask }, trial) => {
    if (ask === undefined) return undefined
    if (ask.kind !== 'channels') return trial.hold('ask', notForFormat('channels'))
    return tryChannelAsk({ holder: 'The token', channels, actions: permissions }, ask, trial)
  },
}

function untilExp(exp: number, now: number, longestSeconds: number): number {
  const asked = exp - now
  if (asked < 1 || asked > lifetime.longestSeconds + CLOCK_LEEWAY_SECONDS) {
    const message =
      asked < 1 ? 'is not in the future' : `is more than ${lifetime.longestSeconds} seconds in the future`
    throw new JetonError('body_invalid', `exp ${message}.`, { issues: [{ path: 'exp', message }] })
  }
  return asked <= longestSeconds + CLOCK_LEEWAY_SECONDS ? Math.min(asked, longestSeconds) : asked
}

function withIceServer(
  metadata: Claims | undefined,
  iceServer: MintContext['iceServer'],
): Claims | undefined {
  if (iceServer === undefined || metadata?.iceServers !== undefined) return metadata
  return { ...metadata, iceServers: [iceServer()] }
}
