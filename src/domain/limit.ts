/** At most `count` in any `windowSeconds`. */
export interface Limit {
  readonly count: number
  readonly windowSeconds: number
}
