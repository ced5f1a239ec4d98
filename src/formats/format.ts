import type { z } from 'zod'

/** Shortest and longest life of a token, in seconds. */
export interface Lifetime {
  readonly defaultSeconds: number
  readonly longestSeconds: number
}

/** What a format may build claims from, besides the request. */
export interface MintContext {
  readonly environmentId: string
  /** The moment of minting, unix seconds: the token's `iat`. */
  readonly now: number
  /** The token's end, unix seconds. */
  readonly expiresAt: number
}

/** Claims, in the order in which they are to stand in the token. */
export type Claims = Readonly<Record<string, unknown>>

/**
 * A kind of token, as data and pure functions: what may be asked for and what then stands in the token. Nothing here
 * knows HTTP, storage or signing. A format adds one file beside this one, one in http/routes/ and one line in
 * formats.ts.
 */
export interface Format<Schema extends z.ZodType = z.ZodType> {
  /** The `fmt` claim, and the name in records and metrics. */
  readonly name: string
  readonly algorithm: 'HS256' | 'EdDSA'
  readonly lifetime: Lifetime
  /** Checks a body. An issue's `params.error` may name another code than `body_invalid`. */
  readonly request: Schema
  /** Whom the token is for: becomes `sub`, and is who is limited. */
  subject(request: z.output<Schema>): string
  /**
   * How long the token is to live, in seconds.
   *
   * @param now unix seconds
   * @throws JetonError `body_invalid` when that depends on the time and cannot be
   */
  ttlSeconds(request: z.output<Schema>, now: number): number
  /** The format's own claims. The mint adds those that every token carries. */
  claims(request: z.output<Schema>, context: MintContext): Claims
  /** What the claims let the holder do, for the record. */
  policy(claims: Claims): Claims
}
