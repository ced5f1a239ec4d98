/** What ends a connection for good: the client gives up (WIRE 2). */
const INVALID = 4001
/** What a client answers with a fresh token and another try. */
const EXPIRED = 4002
/** What was asked about a channel and is not granted. */
const NOT_AUTHORISED = 4003

/** Every code of the gate, with the code with which a realtime server closes the connection for it (WIRE 2, 5). */
export const gateCodes = {
  token_malformed: INVALID,
  algorithm_refused: INVALID,
  signing_key_unknown: INVALID,
  signature_invalid: INVALID,
  issuer_wrong: INVALID,
  audience_wrong: INVALID,
  token_expired: EXPIRED,
  lifetime_too_long: INVALID,
  token_revoked: INVALID,
  environment_mismatch: INVALID,
  environment_archived: INVALID,
  publishable_key_unknown: INVALID,
  publishable_key_revoked: INVALID,
  origin_not_allowed: INVALID,
  ask_not_for_format: INVALID,
  action_not_granted: INVALID,
  channel_not_granted: NOT_AUTHORISED,
  channel_reserved: NOT_AUTHORISED,
  group_not_granted: INVALID,
  peer_not_granted: INVALID,
  model_not_granted: INVALID,
} as const

export type GateCode = keyof typeof gateCodes

/** Why a rule refused. `detail` is a sentence for the developer of the realtime server. */
export interface Refusal {
  readonly code: GateCode
  readonly detail: string
}

/** A rule that was tried, and how it ended. */
export interface Check {
  readonly check: string
  readonly ok: boolean
  /** Why not, when it is not. */
  readonly detail?: string
}

/** Tries rules one after another and writes down each of them, up to the first that refuses. */
export interface Trial {
  readonly checks: readonly Check[]
  /** Notes the outcome of a rule, and gives it back: `hold(…) ?? hold(…)` tries the second if the first lets through. */
  hold(check: string, refusal: Refusal | undefined): Refusal | undefined
}

export function createTrial(): Trial {
  const checks: Check[] = []
  return {
    checks,
    hold(check, refusal) {
      checks.push(refusal === undefined ? { check, ok: true } : { check, ok: false, detail: refusal.detail })
      return refusal
    },
  }
}
