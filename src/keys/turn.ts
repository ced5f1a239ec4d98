import { type IceServer, turnCredentials } from '../domain/turn.ts'
import type { Environment, TurnServer } from '../store/store.ts'
import type { Sealer } from './sealing.ts'

/** Makes credentials for one TURN server, whose secret stays in here. */
export interface Turn {
  /** @param expiresAt unix seconds */
  credentialsFor(subject: string, expiresAt: number): IceServer
}

/** A TURN server as an environment keeps it, its shared secret sealed. */
export function sealTurn(
  environmentId: string,
  urls: readonly string[],
  secret: string,
  sealer: Sealer,
): TurnServer {
  return { urls, sealedSecret: sealer.seal(Buffer.from(secret), sealingContext(environmentId)) }
}

/** @throws SealError when the secret is sealed under another data key or was moved here */
export function openTurn({ id, turn }: Environment, sealer: Sealer): Turn {
  if (turn === undefined) throw new Error(`Environment ${id} has no TURN server`)
  const secret = Buffer.from(sealer.open(turn.sealedSecret, sealingContext(id))).toString()
  return { credentialsFor: (subject, expiresAt) => turnCredentials(turn.urls, secret, subject, expiresAt) }
}

function sealingContext(environmentId: string): string {
  return `turn/${environmentId}`
}
