import { stateOf } from '../domain/key-life.ts'
import { admitsOrigin, showOrigin } from '../domain/origin.ts'
import type { Refusal, Trial } from '../domain/verdict.ts'
import { type Ask, notForFormat, type Question } from '../formats/ask.ts'
import { tryChannelAsk } from '../formats/permissions.ts'
import type { PublishableKey } from '../keys/held-key.ts'
import type { Access, Environment } from '../store/store.ts'

/** What a publishable key carries that was made without anything. */
const NOTHING: Access = { channels: [], actions: [], allowedOrigins: [] }

/** What a publishable key lets its holder do by itself. */
export function accessOf({ access = NOTHING }: PublishableKey): Access {
  return access
}

/**
 * Tries whether a publishable key may be used here: that it is of the environment that asks, that it lives, and where it
 * was sent from. Beside a token that is all.
 *
 * @param now unix milliseconds
 */
export function tryPublishableKey(
  key: PublishableKey | undefined,
  { id }: Environment,
  { origin }: Question,
  now: number,
  trial: Trial,
): Refusal | undefined {
  if (key === undefined) return trial.hold('publishable_key', publishableKeyUnknown)
  return (
    trial.hold('publishable_key', undefined) ??
    trial.hold('publishable_key_environment', key.environmentId === id ? undefined : otherEnvironment) ??
    trial.hold('publishable_key_state', stateRefusal(key, now)) ??
    trial.hold('origin', originRefusal(accessOf(key), origin))
  )
}

/** Tries what a publishable key lets its holder do without a token. */
export function tryAccess(key: PublishableKey, ask: Ask | undefined, trial: Trial): Refusal | undefined {
  const { channels, actions } = accessOf(key)
  return (
    trial.hold('access', channels.length === 0 ? namesOnly : undefined) ??
    (ask === undefined
      ? undefined
      : ask.kind === 'channels'
        ? tryChannelAsk({ holder: 'The publishable key', channels, actions }, ask, trial)
        : trial.hold('ask', notForFormat('publishable')))
  )
}

/** The refusal of a text that no publishable key has. */
export const publishableKeyUnknown: Refusal = {
  code: 'publishable_key_unknown',
  detail: 'No publishable key like this is known here.',
}

const otherEnvironment: Refusal = {
  code: 'environment_mismatch',
  detail: 'The publishable key is of another environment than the secret key that asks.',
}

const namesOnly: Refusal = {
  code: 'action_not_granted',
  detail:
    'The publishable key carries no channels: it names its environment, and lets nobody in without a token.',
}

function stateRefusal(key: PublishableKey, now: number): Refusal | undefined {
  const state = stateOf(key, now)
  if (state === 'active') return undefined
  const detail = state === 'revoked' ? 'The publishable key was revoked.' : 'The publishable key has expired.'
  return { code: 'publishable_key_revoked', detail }
}

function originRefusal({ allowedOrigins }: Access, origin: string | undefined): Refusal | undefined {
  if (allowedOrigins.length === 0 || admitsOrigin(allowedOrigins, origin)) return undefined
  const detail = `The publishable key is for ${allowedOrigins.join(', ')} and was sent from ${showOrigin(origin)}.`
  return { code: 'origin_not_allowed', detail }
}
