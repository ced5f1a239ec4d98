import { z } from 'zod'
import { channelFault } from '../domain/pattern.ts'
import { PEER_ID } from '../domain/policy.ts'
import type { Refusal } from '../domain/verdict.ts'
import { PERMISSIONS, type Permission } from './permissions.ts'

/** What a holder wants to do: each kind is for one format. */
export type Ask =
  | { readonly kind: 'channels'; readonly action: Permission; readonly channel: string | undefined }
  | { readonly kind: 'peer'; readonly groupId: string; readonly peerId: string }
  | { readonly kind: 'client'; readonly model: string }

/** What is asked about a token, or about a publishable key. */
export interface Question {
  /** What the holder wants to do; without it, whether the holder may be here at all. */
  readonly ask: Ask | undefined
  /** The `Origin` that the browser sent with the connection. */
  readonly origin: string | undefined
}

const KINDS = 'must hold action (and channel), groupId and peerId, or model, and no others beside them'

const sent = z.strictObject({
  action: z.enum(PERMISSIONS, `must be one of ${PERMISSIONS.join(', ')}`).optional(),
  channel: z.string().superRefine(refuseFault(channelFault)).optional(),
  groupId: z.string().regex(PEER_ID, 'must be the id of a group').optional(),
  peerId: z.string().regex(PEER_ID, 'must be the id of a peer').optional(),
  model: z.string().min(1, 'must not be empty').max(256, 'must be at most 256 characters').optional(),
})

/** An ask as it is sent: `{action, channel}`, `{groupId, peerId}` or `{model}` (DESIGN 8). */
export const askSchema = sent.transform((members, context): Ask => {
  const ask = kindOf(members)
  if ('kind' in ask) return ask
  context.addIssue({ code: 'custom', ...ask })
  return z.NEVER
})

function kindOf({
  action,
  channel,
  groupId,
  peerId,
  model,
}: z.output<typeof sent>): Ask | { path: string[]; message: string } {
  const kinds = [action ?? channel, groupId ?? peerId, model].filter((kind) => kind !== undefined)
  if (kinds.length !== 1) return { path: [], message: KINDS }
  if (model !== undefined) return { kind: 'client', model }
  if (groupId !== undefined || peerId !== undefined) {
    if (groupId === undefined) return { path: ['groupId'], message: 'is needed' }
    if (peerId === undefined) return { path: ['peerId'], message: 'is needed' }
    return { kind: 'peer', groupId, peerId }
  }
  if (action === undefined) return { path: ['action'], message: 'is needed' }
  if (action === 'send' && channel !== undefined)
    return { path: ['channel'], message: 'must not be there: `send` is not bound to a channel' }
  if (action !== 'send' && channel === undefined) return { path: ['channel'], message: 'is needed' }
  return { kind: 'channels', action, channel }
}

/** The refusal of an ask that is of another kind than the token's format. */
export function notForFormat(format: string): Refusal {
  return { code: 'ask_not_for_format', detail: `A ${format} token answers no ask of this kind.` }
}

function refuseFault(faultOf: (value: string) => string | undefined) {
  return (value: string, context: z.RefinementCtx): void => {
    const fault = faultOf(value)
    if (fault !== undefined) context.addIssue(fault)
  }
}
