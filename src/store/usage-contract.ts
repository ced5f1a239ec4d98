/** How often something happened to one key in one minute. */
export interface UsageCount {
  readonly environmentId: string
  readonly keyId: string
  readonly format: string
  /** Unix minutes. */
  readonly minute: number
  /** `issued`, or the code of the refusal. */
  readonly outcome: string
  readonly count: number
}

/** Who tokens of a day (UTC) were for, as a sketch that tells only how many they were (domain/distinct.ts). */
export interface SubjectSketch {
  readonly environmentId: string
  /** Days since 1970. */
  readonly day: number
  readonly sketch: string
}

/** A piece of a chain of records, counted. */
export interface UsageBatch {
  /** Whose chain: a name that no other one ever has. */
  readonly chain: string
  /** How far the database has counted that chain before … */
  readonly after: number
  /** … and with this batch. */
  readonly upTo: number
  /** At most one for each environment, key, format, minute and outcome. */
  readonly counts: readonly UsageCount[]
  /** At most one for each environment and day. */
  readonly sketches: readonly SubjectSketch[]
  /** When it is written, in unix minutes. */
  readonly at: number
}

/** Tokens that a key minted in a minute, of all formats. */
export interface MinuteCount {
  readonly environmentId: string
  readonly keyId: string
  /** Unix minutes. */
  readonly minute: number
  readonly issued: number
}

/** A part of time, in unix minutes: from `from` on, before `to`. */
export interface MinuteRange {
  readonly from: number
  readonly to: number
}

/** Counts that are kept so finely; a minute is kept for a shorter time than an hour. */
export type UsageGrain = 'minute' | 'hour'

/** What was issued and refused, as batches tell. It counts no revision up, since nothing follows from it. */
export interface UsageStore {
  /** How far a chain is counted; 0 for one that was never. */
  countedUpTo(chain: string): Promise<number>
  /**
   * Adds a batch, in one transaction with how far its chain is counted then. One that does not begin where the database
   * stands adds nothing: another one was first, its answer was lost, or the database was put back to an earlier state.
   *
   * @returns how far the chain is counted now: `upTo` when the batch is in
   */
  add(batch: UsageBatch): Promise<number>
  /** What was issued, in the order of minutes: of one environment or of all, of one key or of all. */
  minutes(
    range: MinuteRange & { readonly environmentId?: string | undefined; readonly keyId?: string | undefined },
  ): Promise<readonly MinuteCount[]>
  /** Hands an environment's counts over, in parts and in the order of time. Those of an hour stand at its first minute. */
  read(
    range: MinuteRange & { readonly environmentId: string; readonly grain: UsageGrain },
    take: (counts: readonly UsageCount[]) => void,
  ): Promise<void>
  /** An environment's sketches of the days from `from` on and before `to`, in days since 1970. */
  subjects(range: MinuteRange & { readonly environmentId: string }): Promise<readonly SubjectSketch[]>
  /**
   * Removes some of what is older: few rows, so that nobody waits for it.
   *
   * @param before unix minutes, by grain; sketches go with the hours
   * @returns whether there may be more
   */
  forget(before: Readonly<Record<UsageGrain, number>>): Promise<boolean>
  /** Forgets how far these chains are counted: nothing of them comes any more. */
  forgetChains(named: { readonly prefix: string; readonly writtenBefore: number }): Promise<void>
}
