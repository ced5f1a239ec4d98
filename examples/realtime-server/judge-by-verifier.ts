import { setTimeout as sleep } from 'node:timers/promises'
// In a project of your own: `import { createVerifier } from 'jeton/verifier'`.
import { createVerifier } from '../../src/client/verifier.ts'
import type { Ask, Concerned, Decision, Judge, Presented } from './judge.ts'
import { createGateJudge } from './judge-by-gate.ts'

interface VerifierOptions {
  /** Where Jeton is: `http://127.0.0.1:3000`. */
  readonly jetonUrl: string
  /** The one environment whose tokens are let in. It signs with EdDSA, so its public keys are all that is needed. */
  readonly environmentId: string
  /** A secret key whose grant is `{"uses":["verify"]}`: it reads the revocations. */
  readonly verifyKey: string
  /** Unix milliseconds. */
  readonly now: () => number
  /** The pause between two looks at everybody who came with a token: each is one signature here, and no call. */
  readonly lookAtTokensEveryMs?: number
  /** As for the gate: publishable keys stand in no feed. */
  readonly lookAtKeysEveryMs?: number
  readonly log: (event: string, about: Readonly<Record<string, unknown>>) => void
}

/**
 * Judges tokens by itself, with the environment's public keys and the feed of its revocations: no call for each, and
 * for a while none at all. Publishable keys only the gate can judge, so whoever comes with one is asked about there.
 */
export function createVerifierJudge(options: VerifierOptions): Judge {
  const { environmentId, now, log, lookAtTokensEveryMs = 500, ...ofGate } = options
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

  // It follows the feed by itself. Nothing says when it has heard something, so everybody is looked at again and again.
  async function follow(again: (concerned: Concerned) => Promise<void>, signal: AbortSignal): Promise<void> {
    const following = gate.follow((concerned) => {
      return again((presented) => presented.publishableKey !== undefined && concerned(presented))
    }, signal)
    while (!signal.aborted) {
      await sleep(lookAtTokensEveryMs, undefined, { signal }).catch(() => undefined)
      // Waited for: with many who are there a look takes longer than the pause, and looks would pile up.
      await again(({ publishableKey }) => publishableKey === undefined)
    }
    await Promise.all([following, verifier.close()])
  }
}
