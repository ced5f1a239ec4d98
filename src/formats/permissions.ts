import {
  isReservedChannel,
  matches,
  type Pattern,
  parsePattern,
  RESERVED_PREFIXES,
} from '../domain/pattern.ts'
import type { Refusal, Trial } from '../domain/verdict.ts'

/** What a holder may do; `send` is not bound to a channel. */
export const PERMISSIONS = ['publish', 'subscribe', 'presence', 'send'] as const
export type Permission = (typeof PERMISSIONS)[number]

/** How many channels of a refusal are named. */
const MOST_NAMED = 5

/** What a token or a publishable key lets its holder do on channels. */
export interface Granted {
  /** What holds it, for the sentence of a refusal: `The token`. */
  readonly holder: string
  readonly channels: readonly string[]
  readonly actions: readonly string[]
}

/** Tries an ask about a channel against what is granted: the action, then the channel. */
export function tryChannelAsk(
  { holder, channels, actions }: Granted,
  { action, channel }: { readonly action: Permission; readonly channel: string | undefined },
  trial: Trial,
): Refusal | undefined {
  return (
    trial.hold('action', actions.includes(action) ? undefined : notGranted(holder, action, actions)) ??
    (channel === undefined ? undefined : trial.hold('channel', channelRefusal(holder, channel, channels)))
  )
}

function notGranted(holder: string, action: Permission, actions: readonly string[]): Refusal {
  const granted = actions.join(', ') || 'nothing'
  return { code: 'action_not_granted', detail: `${holder} grants ${granted} but the ask was to ${action}.` }
}

function channelRefusal(holder: string, channel: string, channels: readonly string[]): Refusal | undefined {
  if (isReservedChannel(channel)) {
    const detail = `Nothing under ${RESERVED_PREFIXES.join(', ')} can be granted, and the ask was for ${channel}.`
    return { code: 'channel_reserved', detail }
  }
  if (channels.some((text) => isMatched(parsePattern(text), channel))) return undefined
  const named = channels.slice(0, MOST_NAMED).join(', ') + (channels.length > MOST_NAMED ? ', …' : '')
  return {
    code: 'channel_not_granted',
    detail: `${holder} grants ${named || 'no channel'} but the ask was for ${channel}.`,
  }
}

function isMatched(pattern: Pattern | { readonly fault: string }, channel: string): boolean {
  return 'text' in pattern && matches(pattern, channel)
}
