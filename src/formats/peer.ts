import { z } from 'zod'
import { PEER_ID, type Policy, parsePolicy, policyPatternMatches } from '../domain/policy.ts'
import type { Refusal } from '../domain/verdict.ts'
import { notForFormat } from './ask.ts'
import { seconds } from './fields.ts'
import type { Format, Lifetime } from './format.ts'

const lifetime: Lifetime = { defaultSeconds: 3_600, longestSeconds: 86_400 }

const id = z.string().regex(PEER_ID, 'must be 1 to 36 characters of a-z, A-Z, 0-9, _ and -')

const allowPolicy = z
  .strictObject({ groupId: z.string(), peerId: z.string() })
  .transform(({ groupId, peerId }, context): Policy => {
    const policy = parsePolicy(groupId, peerId)
    if (!('fault' in policy)) return policy
    context.addIssue(policy.fault)
    return z.NEVER
  })

const request = z
  .strictObject({
    groupId: id.describe('The group that the peer is of.'),
    peerId: id.describe('Who the token is for. `sub` is `groupId:peerId`.'),
    allowPolicy: allowPolicy
      .optional()
      .describe(
        'Which peers of which groups the holder may connect to: at most one `*` in each. Left out: none.',
      ),
    ttlSeconds: seconds(1, lifetime.longestSeconds).optional(),
  })
  .meta({
    examples: [{ groupId: 'default', peerId: 'alice', allowPolicy: { groupId: 'default', peerId: '*' } }],
  })

const held = z.object({
  gid: z.string(),
  pid: z.string(),
  ap: z.object({ group_id: z.string(), peer_id: z.string() }).nullable(),
})

/** Lets a peer connect to others of a group (modelled on PulseBeam; WIRE 4). */
export const peer: Format<typeof request, typeof held> = {
  name: 'peer',
  algorithm: 'EdDSA',
  lifetime,
  request,
  subject: ({ groupId, peerId }) => `${groupId}:${peerId}`,
  askedTtlSeconds: ({ ttlSeconds }) => ttlSeconds,
  needs: ({ groupId, allowPolicy }) => ({ groupId, policy: allowPolicy }),
  claims: ({ groupId, peerId, allowPolicy }, { expiresAt }) =>
    peerClaims(expiresAt, groupId, peerId, allowPolicy),
  policy: ({ ap }) => ({ ap }),
  held,
  permits: ({ ap }, { ask }, trial) => {
    if (ask === undefined) return undefined
    if (ask.kind !== 'peer') return trial.hold('ask', notForFormat('peer'))
    const policy = ap === null ? undefined : parsePolicy(ap.group_id, ap.peer_id)
    const known = policy !== undefined && 'groupId' in policy ? policy : undefined
    const named = ap === null ? 'nothing' : `${ap.group_id}:${ap.peer_id}`
    return (
      trial.hold('group', partRefusal('group', known?.groupId, ask.groupId, named)) ??
      trial.hold('peer', partRefusal('peer', known?.peerId, ask.peerId, named))
    )
  },
}

// Without a policy nothing is permitted (WIRE 4).
function partRefusal(
  part: 'group' | 'peer',
  pattern: Policy['groupId'] | undefined,
  id: string,
  named: string,
): Refusal | undefined {
  if (pattern !== undefined && policyPatternMatches(pattern, id)) return undefined
  const detail = `The token permits ${named} but the ask was for the ${part} ${id}.`
  return { code: `${part}_not_granted`, detail }
}

/** The claims that the product's own clients and servers read, in the order in which its SDK writes them (WIRE 4). */
export function peerClaims(expiresAt: number, groupId: string, peerId: string, policy: Policy | undefined) {
  const ap = policy === undefined ? null : { group_id: policy.groupId.text, peer_id: policy.peerId.text }
  return { exp: expiresAt, gid: groupId, pid: peerId, ap }
}
