/** One thing that was looked at. */
export interface Check {
  readonly state: 'ok' | 'mend'
  readonly what: string
  /** How to mend it. */
  readonly how?: string
}

export function ok(what: string): Check {
  return { state: 'ok', what }
}

export function mend(what: string, how: string): Check {
  return { state: 'mend', what, how }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
