/** A spike of issuance that rang. Minutes are unix minutes. */
export interface Alert {
  readonly id: string
  readonly environmentId: string
  /** Empty for the environment as a whole. */
  readonly keyId: string
  readonly minute: number
  /** What had been issued in that minute when it rang. */
  readonly issued: number
  /** The median minute of the hour before. */
  readonly median: number
  /** `undefined` while it is open. */
  readonly closedMinute: number | undefined
  readonly why: 'calm' | 'new_level' | undefined
  /** The highest minute while it was open, once it is closed. */
  readonly peak: number | undefined
}

/** What usage tells to whoever looks for spikes: sums of what was issued, over all formats. Minutes are unix minutes. */
export interface CourseReads {
  /** The keys that were issued so much in a minute. */
  busyKeys(
    minute: number,
    atLeast: number,
  ): Promise<readonly { readonly environmentId: string; readonly keyId: string; readonly issued: number }[]>
  /** The environments whose keys together were. `counts` says of how many counts that is the sum. */
  busyEnvironments(
    minute: number,
    atLeast: number,
  ): Promise<readonly { readonly environmentId: string; readonly issued: number; readonly counts: number }[]>
  /** What one key, or all of an environment together, was issued in some minutes. One without anything is left out. */
  ofMinutes(asked: {
    readonly environmentId: string
    readonly keyId: string | undefined
    readonly minutes: readonly number[]
  }): Promise<readonly { readonly minute: number; readonly issued: number }[]>
}

/** What is to be sent about an alert. Times are unix milliseconds. */
export interface Notice {
  readonly id: string
  readonly body: string
  readonly createdAt: number
  /** How often it was taken to be sent. */
  readonly attempts: number
  /** When it may be taken next. */
  readonly dueAt: number
}

/** What is kept of a new one. */
export type NewNotice = Pick<Notice, 'id' | 'body' | 'createdAt'>

/**
 * Alerts of issuance, and the notices that are still to be sent about them. Several processes see the same spike: of the
 * calls that raise or close one, exactly one comes back with `true`, and its notice is kept in the same transaction.
 */
export interface AlertStore {
  /** Those that are open, and those that were closed in or after a minute. */
  list(closedSince: number): Promise<readonly Alert[]>
  /** Opens an alert, unless its key, or environment, has an open one. */
  raise(alert: Omit<Alert, 'closedMinute' | 'why' | 'peak'>, notice?: NewNotice): Promise<boolean>
  /** Closes one that is open. */
  close(
    id: string,
    end: { readonly closedMinute: number; readonly why: 'calm' | 'new_level'; readonly peak: number },
    notice?: NewNotice,
  ): Promise<boolean>
  /** Removes those that were closed before a minute. */
  forget(minute: number): Promise<void>
  /** Takes the notice that is due for the longest time; nobody else gets it before `until`. */
  takeNotice(now: number, until: number): Promise<Notice | undefined>
  postponeNotice(id: string, dueAt: number): Promise<void>
  dropNotice(id: string): Promise<void>
}
