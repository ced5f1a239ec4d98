import { VerifierError, type VerifierErrorCode } from './verifier-error.ts'

/** Something of Jeton's that is asked for again and again, so that a copy of it stays young. */
export interface Followed {
  /**
   * Lets through while the copy may be used. Before the first answer, it waits for the first attempt.
   *
   * @throws VerifierError the code that was given for it, when the last answer is too old; what `signal` ended with
   */
  current(): Promise<void>
  /** Ends when nothing more is asked. */
  readonly ended: Promise<void>
}

interface FollowDeps {
  /**
   * Asks once, notes the answer, and says in how many seconds to ask again.
   *
   * @param answered to be called once the answer is known to be an answer, with the moment at which it was true
   */
  ask(answered: (at: number) => void): Promise<number>
  /** How old the last answer may be, in seconds. */
  readonly offlineSeconds: number
  readonly stale: { readonly code: VerifierErrorCode; readonly message: string }
  readonly unavailable: { readonly code: VerifierErrorCode; readonly message: string }
  readonly onError: (error: VerifierError) => void
  /** Milliseconds, never going back. */
  readonly monotonic: () => number
  /** Ends it. */
  readonly signal: AbortSignal
}

const FIRST_PAUSE_SECONDS = 1
const LONGEST_PAUSE_SECONDS = 30

/** How soon what goes on refusing this verifier is asked again: somebody has to mend that, which takes minutes. */
const REFUSED_PAUSE_SECONDS = 60

/** So many refusals in a row are none of a process of Jeton that has not heard yet of a key that was just made. */
const REFUSALS_UNTIL_BELIEVED = 5

/** No pause after a failure takes a larger part of `offlineSeconds`, or one lost answer could be one too many. */
const LONGEST_PAUSE_SHARE = 0.2

/** Asks at once, and then in the background until `signal` ends it. Its timers never keep a process alive. */
export function follow(deps: FollowDeps): Followed {
  const { ask, offlineSeconds, stale, unavailable, onError, monotonic, signal } = deps
  let answeredAt: number | undefined
  let failures = 0
  let refusals = 0
  let told: string | undefined
  let cause: unknown
  const first = attempt()
  const ended = first.then(goOn)
  return { current, ended }

  async function current(): Promise<void> {
    if (answeredAt === undefined) await first
    signal.throwIfAborted()
    const age = answeredAt === undefined ? Number.POSITIVE_INFINITY : monotonic() - answeredAt
    if (age > offlineSeconds * 1000) throw new VerifierError(stale.code, stale.message, { cause })
  }

  async function goOn(pauseSeconds: number): Promise<void> {
    let seconds = pauseSeconds
    while (!signal.aborted) {
      await pause(seconds, signal)
      if (!signal.aborted) seconds = await attempt()
    }
  }

  // How long to pause after it, in seconds.
  async function attempt(): Promise<number> {
    try {
      const seconds = await ask((at) => {
        answeredAt = at
      })
      failures = 0
      refusals = 0
      told = undefined
      cause = undefined
      return seconds
    } catch (error) {
      if (signal.aborted) return 0
      return failed(error)
    }
  }

  function failed(reason: unknown): number {
    const known = reason instanceof VerifierError
    const error = known ? reason : new VerifierError(unavailable.code, unavailable.message, { cause: reason })
    failures += 1
    refusals = known ? refusals + 1 : 0
    cause = error
    // Told once for each outage, not at every attempt; outside of this loop, which must not end if the listener throws.
    if (told !== error.code) queueMicrotask(() => onError(error))
    told = error.code
    const seconds = refusals >= REFUSALS_UNTIL_BELIEVED ? REFUSED_PAUSE_SECONDS : pauseAfter(failures)
    return Math.min(seconds, Math.max(FIRST_PAUSE_SECONDS, offlineSeconds * LONGEST_PAUSE_SHARE))
  }
}

// Half of it is chance, so that the verifiers of a whole fleet do not come back at one moment.
function pauseAfter(failures: number): number {
  const seconds = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
  return seconds * (0.5 + Math.random() / 2)
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, seconds * 1000)
    timer.unref()
    signal.addEventListener('abort', end)
    function end() {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
  })
}
