import { createBudget } from '../domain/containment.ts'
import { admitsUse, excessOf } from '../domain/grant.ts'
import { isReserved, parsePattern } from '../domain/pattern.ts'
import type { Refusal } from '../domain/verdict.ts'
import { channels, peerId } from './channels.ts'
import { CLIENT_KEY_PREFIX, client } from './client.ts'
import { text } from './fields.ts'
import type { Format } from './format.ts'
import type { Accepted, Circumstances, Times } from './judgement.ts'
import type { JudgingKey, LocalSigner } from './presented.ts'

/** How far the clocks of those who mint and those who judge may be apart, in seconds. */
export const CLOCK_LEEWAY_SECONDS = 10

/** What may still be asked of an environment that is archived: nothing. */
export function archivedRefusal(environmentId: string): Refusal {
  return { code: 'environment_archived', detail: `The environment ${environmentId} is archived.` }
}

// Only the end of it counts, so that a changed PUBLIC_URL ends no live token (DESIGN 5).
export function issuerRefusal(iss: unknown, { environmentId }: Circumstances): Refusal | undefined {
  const end = `/environments/${environmentId}`
  if (typeof iss === 'string' && iss.endsWith(end)) return undefined
  return { code: 'issuer_wrong', detail: `The issuer does not end in ${end}.` }
}

// RFC 7519 §4.1.3: one audience, or a list of them.
export function audienceRefusal(aud: unknown, { environmentId }: Circumstances): Refusal | undefined {
  if (aud === environmentId || (Array.isArray(aud) && aud.includes(environmentId))) return undefined
  return { code: 'audience_wrong', detail: `The audience is not ${environmentId}.` }
}

// RFC 8725 §3.12: formats share keys, so that only `fmt` tells one from another.
export function formatRefusal(
  format: Format | undefined,
  fmt: unknown,
  key: JudgingKey,
  asClientKey: boolean,
): Refusal | undefined {
  if (format === undefined) return malformed('The token has no fmt that names a format.')
  if (key.format !== undefined && key.format !== fmt) {
    return { code: 'signing_key_unknown', detail: `This key signs ${key.format} tokens alone.` }
  }
  return asClientKey && format !== client ? spelledWrong() : undefined
}

export function signedFormatRefusal(fmt: unknown, asClientKey: boolean): Refusal | undefined {
  if (fmt !== undefined && fmt !== channels.name) {
    return malformed(`A backend signs ${channels.name} tokens alone.`)
  }
  return asClientKey ? spelledWrong() : undefined
}

/** What may name a token or a subject in a revocation. */
export const revocableText = text(1, 256)

// A `jti` that is not ours is held to what a revocation can name: another one would be out of reach.
export function isRevocable(jti: unknown): jti is string {
  return revocableText.safeParse(jti).success
}

export function isPeerId(sub: unknown): sub is string {
  return peerId.safeParse(sub).success
}

function spelledWrong(): Refusal {
  return malformed(`Only ${client.name} tokens are spelled with ${CLIENT_KEY_PREFIX}.`)
}

export function heldRefusal(
  { name }: Format,
  error: { issues: readonly { path: PropertyKey[] }[] },
): Refusal {
  const claim = String(error.issues[0]?.path[0] ?? 'claim')
  return malformed(`The token's ${claim} is not as in a ${name} token.`)
}

export function timeRefusal({ expiresAt }: Times, { now }: Circumstances): Refusal | undefined {
  if (now < expiresAt + CLOCK_LEEWAY_SECONDS) return undefined
  return { code: 'token_expired', detail: `The token ended ${now - expiresAt} s ago.` }
}

// Otherwise whoever holds a signing secret could make a token that outlives every entry that revokes it.
export function lifetimeRefusal(
  { issuedAt, expiresAt, longestSeconds }: Times,
  nbf: unknown,
  { now }: Circumstances,
): Refusal | undefined {
  const code = 'lifetime_too_long'
  // RFC 7519 §4.1.5. Nothing that is minted has one; a backend's own tokens may.
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + CLOCK_LEEWAY_SECONDS)) {
    return { code, detail: 'The token is not to be taken yet, as its nbf says.' }
  }
  if (issuedAt > now + CLOCK_LEEWAY_SECONDS) {
    return { code, detail: `The token was issued ${issuedAt - now} s in the future.` }
  }
  if (expiresAt - issuedAt <= longestSeconds) return undefined
  return { code, detail: `The token lives ${expiresAt - issuedAt} s; ${longestSeconds} s is the most.` }
}

export function revokedRefusal(reason: string | undefined): Refusal | undefined {
  return reason === undefined ? undefined : { code: 'token_revoked', detail: reason }
}

/** The grant binds what a backend signs by itself as it binds what it has minted. */
export function grantRefusal({ held, issuedAt }: Accepted, signer: LocalSigner): Refusal | undefined {
  if (signer.endsAt !== undefined && issuedAt >= signer.endsAt) {
    return { code: 'signing_key_unknown', detail: 'The key had expired when the token was issued.' }
  }
  if (!admitsUse(signer.ceiling, 'mint')) {
    return { code: 'signing_key_unknown', detail: 'The key that signed the token may not mint.' }
  }
  const { channels: texts, permissions } = channels.held.parse(held)
  const parsed = texts.map(parsePattern)
  const fault = parsed.find((pattern) => 'fault' in pattern)
  if (fault !== undefined && 'fault' in fault) return malformed(`One of the token's channels ${fault.fault}.`)
  const patterns = parsed.filter((pattern) => 'text' in pattern)
  const reserved = patterns.find(isReserved)
  if (reserved !== undefined) {
    return { code: 'channel_reserved', detail: `The token holds ${reserved.text}, which cannot be granted.` }
  }
  const needs = { format: channels.name, channels: patterns, permissions }
  const excess = excessOf(signer.ceiling, needs, createBudget())
  if (excess === undefined) return undefined
  const code = excess.member === 'channels' ? 'channel_not_granted' : 'action_not_granted'
  return {
    code,
    detail: `The token holds ${excess.asked}, beyond the ${excess.member} of the key that signed it.`,
  }
}

export function malformed(detail: string): Refusal {
  return { code: 'token_malformed', detail }
}
