import { setTimeout as sleep } from 'node:timers/promises'
// In a project of your own: `import { createVerifier } from 'jeton/verifier'`.
import { createVerifier } from '../../src/client/verifier.ts'
import type { Ask, Concerned, Decision, Judge, Presented } from './judge.ts'
import { createGateJudge } from './judge-by-gate.ts'

/** A look at a connection is one signature here, and no call. */
const LOOK_EVERY_MS = 500

interface VerifierOptions {
  /** Where Jeton is: `http://127.0.0.1:3000`. */
  readonly jetonUrl: string
  /** The one environment whose tokens are let in. It signs with EdDSA, so its public keys are all that is needed. */
  readonly environmentId: string
  /** A secret key whose grant is `{"uses":["verify"]}`: it reads the revocations. */
  readonly verifyKey: string
  /** Unix milliseconds. */
  readonly now: () => number
  /** As for the gate: publishable keys stand in no feed. */
  readonly lookAtKeysEveryMs?: number
  readonly log: (event: string, about: Readonly<Record<string, unknown>>) => void
}

/**
 * Judges tokens by itself, with the environment's public keys and the feed of its revocations: no call for each, and
 * for a while none at all. Publishable keys only the gate can judge, so whoever comes with one is asked about there.
 */
export function createVerifierJudge(options: VerifierOptions): Judge {
  const { environmentId, now, log, ...ofGate } = options
  const gate = createGateJudge(ofGate)
  const verifier = createVerifier({
    url: ofGate.jetonUrl,
    environmentId,
    secretKey: ofGate.verifyKey,
    now,
    onError: ({ code }) => log('verifier', { code }),
  })
  return { judge, follow }

  async function judge(presented: Presented, ask?: Ask): Promise<Decision> {
    const { token, publishableKey, origin } = presented
    if (token === undefined || publishableKey !== undefined) return gate.judge(presented, ask)
    return verifier.check(token, ask, { origin })
  }

  // It follows the feed by itself. Nothing says when it has heard something, and a look costs little.
  async function follow(again: (concerned: Concerned) => void, signal: AbortSignal): Promise<void> {
    const following = gate.follow((concerned) => {
      again((presented) => presented.publishableKey !== undefined && concerned(presented))
    }, signal)
    while (!signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
      again(({ publishableKey }) => publishableKey === undefined)
    }
    await Promise.all([following, verifier.close()])
  }
}
