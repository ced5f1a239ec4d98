import type { z } from 'zod'
import type { Grant, Needs } from '../domain/grant.ts'
import type { IceServer } from '../domain/turn.ts'
import type { Refusal, Trial } from '../domain/verdict.ts'
import type { Question } from './ask.ts'

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
  /** The key's ceiling: what a request leaves out never becomes wider than this. */
  readonly grant: Grant
  /** Credentials for the environment's TURN server, if it has one, that end when the token does. */
  readonly iceServer: (() => IceServer) | undefined
}

/** Claims, in the order in which they are to stand in the token. */
export type Claims = Readonly<Record<string, unknown>>

/**
 * A kind of token, as data and pure functions: what may be asked for and what then stands in the token. Nothing here
 * knows HTTP, storage or signing. A format adds one file beside this one, one in http/routes/ and one line in
 * formats.ts.
 */
export interface Format<Schema extends z.ZodType = z.ZodType, Held extends z.ZodType = z.ZodType> {
  /** The `fmt` claim, and the name in records and metrics. */
  readonly name: string
  /** What signs it unless the environment says otherwise. */
  readonly algorithm: 'HS256' | 'EdDSA'
  readonly lifetime: Lifetime
  /** Checks a body. An issue's `params.error` may name another code than `body_invalid`. */
  readonly request: Schema
  /** Whom the token is for: becomes `sub`, and is who is limited. Without one `sub` is the key's id. */
  subject(request: z.output<Schema>): string | undefined
  /**
   * How long the token is asked to live, in seconds; `undefined` when the request leaves it to us.
   *
   * @param now unix seconds
   * @param longestSeconds the longest that the key and the environment allow
   * @throws JetonError `body_invalid` when that depends on the time and cannot be
   */
  askedTtlSeconds(request: z.output<Schema>, now: number, longestSeconds: number): number | undefined
  /** What the key must be granted for this request, its lifetime aside. */
  needs(request: z.output<Schema>): Omit<Needs, 'format'>
  /** The format's own claims. The mint adds those that every token carries. */
  claims(request: z.output<Schema>, context: MintContext): Claims
  /** What the claims let the holder do, for the record. */
  policy(claims: Claims): Claims
  /** Reads the format's own claims back from a token that is presented. */
  readonly held: Held
  /** Tries what the claims let the holder do against what is asked. */
  permits(claims: z.output<Held>, question: Question, trial: Trial): Refusal | undefined
  /** How long a session that begins with the token may last; a format without sessions says nothing. */
  maxSessionSeconds?(claims: z.output<Held>): number | undefined
}
