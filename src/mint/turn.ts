import { JetonError } from '../domain/errors.ts'
import type { IceServer } from '../domain/turn.ts'
import { channels } from '../formats/channels.ts'
import { type Journal, journalUnavailable } from '../journal/journal.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { Decision } from '../limits/limiter.ts'
import type { Seams } from '../seams.ts'
import { type Admission, refuseBeyondGrant, ttlWithin } from './admission.ts'
import { JTI_BYTES, type MintCaller } from './mint.ts'

/** How long TURN credentials may live: as a channels token, of which they are a part otherwise. */
export const TURN_LIFETIME = channels.lifetime

/** What they are called where a token has the name of its format. */
export const TURN_FORMAT = 'turn'

/** TURN credentials that were made. */
export interface IssuedTurn {
  readonly iceServers: readonly IceServer[]
  /** Unix seconds. */
  readonly expiresAt: number
  readonly limits: Decision
}

/** Makes TURN credentials without a token around them; compared, limited and recorded like one. */
export interface TurnMint {
  /**
   * @throws JetonError `not_found` when the environment has no TURN server, `beyond_grant` `journal_unavailable`
   * @throws LimitError when the subject or the key had too many
   */
  issue(
    request: { subject: string; ttlSeconds?: number | undefined },
    caller: MintCaller,
  ): Promise<IssuedTurn>
}

interface TurnMintDeps {
  readonly keyring: Keyring
  readonly admission: Admission
  readonly journal: Journal
  /** Told of each that leaves, by TURN_FORMAT. */
  readonly noteIssued: (format: string) => void
  readonly seams: Seams
}

export function createTurnMint({ keyring, admission, journal, noteIssued, seams }: TurnMintDeps): TurnMint {
  return {
    async issue({ subject, ttlSeconds: asked }, caller) {
      caller.asked.subject = subject
      const turn = keyring.turn(caller.environment)
      if (turn === undefined) throw new JetonError('not_found', 'This environment has no TURN server.')
      refuseBeyondGrant(caller, { format: channels.name })
      const ttlSeconds = ttlWithin(asked, channels, caller)
      const expiresAt = Math.floor(seams.now() / 1000) + ttlSeconds
      if (!journal.isAvailable()) throw journalUnavailable()
      const limits = await admission.admit(caller, subject)
      const iceServer = turn.credentialsFor(subject, expiresAt)
      const { key, address, endUserAddress, userAgent, requestId } = caller
      await journal.append({
        environmentId: key.environmentId,
        keyId: key.id,
        format: TURN_FORMAT,
        subject,
        jti: Buffer.from(seams.random(JTI_BYTES)).toString('base64url'),
        expiresAt,
        ttlSeconds,
        policy: { urls: iceServer.urls },
        bytes: undefined,
        address,
        endUserAddress,
        userAgent,
        requestId,
      })
      noteIssued(TURN_FORMAT)
      return { iceServers: [iceServer], expiresAt, limits }
    },
  }
}
