import { JetonError } from '../domain/errors.ts'
import { JWKS_MAX_AGE_SECONDS, LEEWAY_SECONDS, type Phase, phaseAt } from '../domain/signing-period.ts'
import { LONGEST_TOKEN_LIFE_SECONDS } from '../formats/formats.ts'
import type { Seams } from '../seams.ts'
import type { ChangeSet, SigningAlgorithm, SigningKey, SigningKeyChange, Store } from '../store/store.ts'
import { needEnvironment } from './environments.ts'
import { onceOnly, type RepeatableCall } from './idempotency.ts'
import type { Sealer } from './sealing.ts'
import { type Standing, standingOf, wayBack } from './signing-key-standing.ts'
import { generateEd25519Key, generateHs256Key } from './signing-keys.ts'

/** A signing key as it may be shown: where it stands, and nothing of its secret. Times are unix milliseconds. */
export interface SigningKeyState extends Omit<SigningKey, 'sealedSecret' | 'publicJwk'> {
  readonly phase: Phase
}

/** What became of a rotation or a roll back. */
export interface Rotated {
  /** The key that signs, or that will once verifiers had the time to fetch it. */
  readonly key: SigningKeyState
  /** `false` when another process was first, or a successor waits already: this call changed nothing then. */
  readonly changed: boolean
}

/** Replaces what signs an environment's tokens. An imported key is not the environment's own and stays as it is. */
export interface SigningKeyRotation {
  /**
   * Makes a successor. It is published at once and signs once every verifier's copy of the JWKS has to be a newer one;
   * the key before it then goes on verifying until the last token that it signed has expired. While a successor
   * waits, there is no second one: the waiting one is given back.
   *
   * @param options.immediately for an emergency: the successor, a waiting one included, signs from this moment.
   *   A verifier that fetches the JWKS only when its copy is too old refuses the new tokens until then. The old key
   *   still verifies.
   * @throws JetonError `not_found` when there is no such environment
   */
  rotate(
    environmentId: string,
    algorithm: SigningAlgorithm,
    options?: { immediately?: boolean },
  ): Promise<Rotated>
  /**
   * The same for several algorithms: all of them or none.
   *
   * @param options.call makes it one call when it comes twice; see `onceOnly`
   */
  rotateAll(
    environmentId: string,
    algorithms: readonly SigningAlgorithm[],
    options?: { immediately?: boolean; call?: RepeatableCall | undefined },
  ): Promise<readonly Rotated[]>
  /**
   * Takes the last rotation back. A successor that has not signed is gone at once; one that may have signed goes on
   * verifying until its tokens have expired, and the key before it signs again, if it is still in the JWKS.
   *
   * @throws JetonError `not_found` when there is no such environment, `conflict` when there is nothing to go back to
   */
  rollBack(environmentId: string, algorithm: SigningAlgorithm): Promise<Rotated>
  /**
   * Every signing key of an environment, those that are gone and imported ones included, by the moment from which
   * they sign.
   *
   * @throws JetonError `not_found` when there is no such environment
   */
  list(environmentId: string): Promise<readonly SigningKeyState[]>
}

interface SigningKeyRotationDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly seams: Seams
  /** How long a process may go on with the keys that it knows. */
  readonly staleKeysSeconds: number
}

const LONGEST_TOKEN_LIFE_MS = LONGEST_TOKEN_LIFE_SECONDS * 1000

export function createSigningKeyRotation({
  store,
  sealer,
  seams,
  staleKeysSeconds,
}: SigningKeyRotationDeps): SigningKeyRotation {
  // After so long every process has read a change, or has stopped minting because it could not.
  const spreadMs = (staleKeysSeconds + LEEWAY_SECONDS) * 1000
  // The last process to publish a new key may hand out the JWKS without it once more just before.
  const leadMs = spreadMs + JWKS_MAX_AGE_SECONDS * 1000

  return { rotate, rotateAll, rollBack, list }

  async function rotate(
    environmentId: string,
    algorithm: SigningAlgorithm,
    { immediately = false }: { immediately?: boolean } = {},
  ): Promise<Rotated> {
    const draft = await draftSuccessor(environmentId, algorithm)
    return await store.change((changes) => succeed(changes, draft, immediately))
  }

  async function rotateAll(
    environmentId: string,
    algorithms: readonly SigningAlgorithm[],
    { immediately = false, call }: { immediately?: boolean; call?: RepeatableCall | undefined } = {},
  ): Promise<readonly Rotated[]> {
    const drafts: Successor[] = []
    for (const algorithm of algorithms) drafts.push(await draftSuccessor(environmentId, algorithm))
    return await store.change((changes) =>
      onceOnly<readonly Rotated[]>(changes, call, seams.now(), {
        work: async () => {
          const done: Rotated[] = []
          for (const draft of drafts) done.push(await succeed(changes, draft, immediately))
          return done
        },
        ids: (rotated) => rotated.map(({ key, changed }) => `${changed ? CHANGED : UNCHANGED}${key.kid}`),
        again: async (ids) => {
          const keys = await changes.listSigningKeys(environmentId)
          return ids.flatMap((id) =>
            keys
              .filter(({ kid }) => kid === id.slice(1))
              .map((key) => ({ key: stateOf(key, seams.now()), changed: id.startsWith(CHANGED) })),
          )
        },
      }),
    )
  }

  // Made before the transaction begins, so that it holds the database's lock for the writes alone.
  async function draftSuccessor(environmentId: string, algorithm: SigningAlgorithm): Promise<Successor> {
    const seen = await look(environmentId, algorithm)
    const made =
      algorithm === 'HS256'
        ? generateHs256Key(environmentId, sealer, seams)
        : await generateEd25519Key(environmentId, sealer, seams)
    return { seen, made }
  }

  function succeed(changes: ChangeSet, { seen, made }: Successor, immediately: boolean): Promise<Rotated> {
    return changeOnce(changes, seen, async ({ signing, pending, now }) => {
      if (pending !== undefined && !immediately) return unchanged(pending, now)
      const signsFrom = immediately ? now : now + leadMs
      const successor = { ...(pending ?? made), signsFrom }
      if (pending === undefined) await changes.insertSigningKey({ ...successor, createdAt: now })
      else await update(changes, successor, { signsFrom })
      const lastSignatureAt = immediately ? now + spreadMs : signsFrom + LEEWAY_SECONDS * 1000
      if (signing !== undefined) await update(changes, signing, ended(signsFrom, lastSignatureAt))
      return { key: stateOf(successor, now), changed: true }
    })
  }

  async function rollBack(environmentId: string, algorithm: SigningAlgorithm): Promise<Rotated> {
    const seen = await look(environmentId, algorithm)
    return await store.change((changes) =>
      changeOnce(changes, seen, async (standing) => {
        const { now } = standing
        const { from, to } = wayBack(standing, spreadMs)
        if (from === undefined || to === undefined) {
          throw new JetonError('conflict', `There is no ${algorithm} key to go back to.`)
        }
        // A process that has not learned of this by then would begin to sign with one that waits.
        const mayHaveSigned = phaseAt(from, now + spreadMs) !== 'published'
        const end = mayHaveSigned ? ended(now, now + spreadMs) : { signsUntil: now, verifiesUntil: now }
        await update(changes, from, end)
        const signsFrom = to === standing.signing ? to.signsFrom : now
        const again = { signsFrom, signsUntil: undefined, verifiesUntil: undefined }
        await update(changes, to, again)
        return { key: stateOf({ ...to, ...again }, now), changed: true }
      }),
    )
  }

  async function list(environmentId: string): Promise<readonly SigningKeyState[]> {
    if ((await store.findEnvironment(environmentId)) === undefined) {
      throw new JetonError('not_found', 'There is no such environment.')
    }
    const now = seams.now()
    return (await store.listSigningKeys(environmentId)).map((key) => stateOf(key, now))
  }

  async function look(environmentId: string, algorithm: SigningAlgorithm): Promise<Seen> {
    const keys = await store.listSigningKeys(environmentId)
    return { environmentId, algorithm, newest: standingOf(keys, algorithm, seams.now()).newest?.kid }
  }

  // Where the newest key is another one than this call saw when it began, another process was first with the same, and
  // its outcome is this call's as well.
  async function changeOnce(
    changes: ChangeSet,
    { environmentId, algorithm, newest }: Seen,
    work: (standing: Standing) => Promise<Rotated>,
  ): Promise<Rotated> {
    await needEnvironment(changes, environmentId)
    const found = standingOf(await changes.listSigningKeys(environmentId), algorithm, seams.now())
    const wasFirst = found.newest === undefined || found.newest.kid === newest
    return wasFirst ? await work(found) : unchanged(found.newest, found.now)
  }
}

// How a remembered call says whether it changed something, before the kid.
const CHANGED = '+'
const UNCHANGED = '='

/** A key that may take over, and what the call saw before it was made. */
interface Successor {
  readonly seen: Seen
  readonly made: SigningKey
}

/** What a call is about, and the newest key when it began. */
interface Seen {
  readonly environmentId: string
  readonly algorithm: SigningAlgorithm
  readonly newest: string | undefined
}

/** The end of a key whose last signature is made at `lastSignatureAt`, by the process that learns of it last. */
function ended(signsUntil: number, lastSignatureAt: number): SigningKeyChange {
  return { signsUntil, verifiesUntil: lastSignatureAt + LONGEST_TOKEN_LIFE_MS }
}

function update(
  changes: ChangeSet,
  { environmentId, kid }: SigningKey,
  change: SigningKeyChange,
): Promise<void> {
  return changes.updateSigningKey(environmentId, kid, change)
}

function unchanged(key: SigningKey, now: number): Rotated {
  return { key: stateOf(key, now), changed: false }
}

function stateOf({ sealedSecret: _, publicJwk: __, ...shown }: SigningKey, now: number): SigningKeyState {
  return { ...shown, phase: phaseAt(shown, now) }
}
