/** What a client presented when it connected. At least one of the first two. */
export interface Presented {
  readonly token: string | undefined
  readonly publishableKey: string | undefined
  /** The `Origin` that the browser sent: a script cannot choose it, so it says which site the page is of. */
  readonly origin: string | undefined
}

/** What a client wants to do. `send` is not bound to a channel. */
export type Ask =
  | { readonly action: 'subscribe' | 'publish' | 'presence'; readonly channel: string }
  | { readonly action: 'send' }

export type Decision = Allowed | Refused

export interface Allowed {
  readonly allowed: true
  /** `null` for a publishable key alone. */
  readonly format: string | null
  /** `null` for a publishable key alone: this server gives its holder an id then. */
  readonly subject: string | null
  /** Unix seconds; `null` for a publishable key alone. */
  readonly expiresAt: number | null
  readonly claims: { readonly [claim: string]: unknown }
}

export interface Refused {
  readonly allowed: false
  readonly code: string
  /** With which to close the connection, if it is closed for this. */
  readonly closeCode: number
  /** A sentence for whoever runs this server. */
  readonly detail: string
}

/** Says which of the open connections may be concerned. */
export type Concerned = (presented: Presented) => boolean

/**
 * Everything that this server knows about who may do what. It has two implementations: judge-by-gate.ts asks Jeton
 * about everything, judge-by-verifier.ts decides by itself.
 */
export interface Judge {
  /**
   * Decides about what was presented; without an ask, whether its holder may be here at all.
   *
   * @throws when it cannot tell; nothing may be allowed then
   */
  judge(presented: Presented, ask?: Ask): Promise<Decision>
  /**
   * Calls back whenever what was allowed to some may have ended, until the signal is aborted.
   *
   * @param again ends, and never fails, once all who are concerned were judged anew
   */
  follow(again: (concerned: Concerned) => Promise<void>, signal: AbortSignal): Promise<void>
}
