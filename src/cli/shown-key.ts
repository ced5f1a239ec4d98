import { endingSoon, type KeyEnds, stateOf } from '../domain/key-life.ts'
import { systemSeams } from '../seams.ts'
import type { ApiKey } from '../store/store.ts'
import { moment, type OutputOptions, print, printRecord, printTable, toSeconds } from './output.ts'

/** What programs are told of a key, in the words of the admin API: never the text of a secret one. */
export function showKey(key: ApiKey) {
  return {
    id: key.id,
    environmentId: key.environmentId,
    kind: key.kind,
    name: key.name ?? null,
    hint: key.hint,
    publishableKey: key.text ?? null,
    state: stateOf(key, systemSeams.now()),
    exposed: key.exposedAt !== undefined,
    grant: key.grant ?? null,
    access: key.access ?? null,
    localSigning: key.sealedSecret !== undefined,
    successorId: key.successorId ?? null,
    createdAt: toSeconds(key.createdAt),
    expiresAt: toSeconds(key.expiresAt),
    endsWithin: endingSoon(key, systemSeams.now()) ?? null,
    revokedAt: toSeconds(key.revokedAt),
    lastUsedAt: toSeconds(key.lastUsedAt),
  }
}

/** Prints one key, for people or for programs. */
export function printKey(key: ApiKey, { json }: OutputOptions): void {
  if (json) {
    print(JSON.stringify({ key: showKey(key) }))
    return
  }
  printRecord({
    id: key.id,
    environment: key.environmentId,
    kind: key.kind,
    name: key.name,
    key: key.text ?? key.hint,
    state: stateOf(key, systemSeams.now()),
    exposed: moment(key.exposedAt),
    grant: key.grant && JSON.stringify(key.grant),
    access: key.access && JSON.stringify(key.access),
    'signs by itself': key.sealedSecret && 'yes',
    created: moment(key.createdAt),
    'last used': moment(key.lastUsedAt),
    ends: endText(key),
    successor: key.successorId,
  })
}

/** Prints keys, one a line, ended ones included. */
export function printKeys(keys: readonly ApiKey[], { json }: OutputOptions): void {
  if (json) {
    print(JSON.stringify({ keys: keys.map(showKey) }))
    return
  }
  printTable(
    ['ID', 'ENVIRONMENT', 'KIND', 'NAME', 'KEY', 'STATE', 'EXPOSED', 'CREATED', 'LAST USED', 'ENDS'],
    keys.map((key) => [
      key.id,
      key.environmentId,
      key.kind,
      key.name ?? '',
      key.text ?? key.hint,
      stateOf(key, systemSeams.now()),
      key.exposedAt === undefined ? 'no' : 'yes',
      moment(key.createdAt),
      moment(key.lastUsedAt),
      endText(key),
    ]),
  )
}

/** What a key that was just made is known by; its text is there, since a command is never answered twice. */
export interface MadeKey {
  readonly row: Pick<ApiKey, 'id' | 'kind' | 'sealedSecret'>
  readonly text: string | undefined
}

/** What programs are told of a key that was just made: the only time that a secret one is seen. */
export function showMadeKey({ row, text }: MadeKey) {
  return { keyId: row.id, [row.kind === 'secret' ? 'secretKey' : 'publishableKey']: text }
}

/** Prints a key that was just made, for people or for programs. */
export function printMadeKey(made: MadeKey, { json }: OutputOptions): void {
  if (json) {
    print(JSON.stringify(showMadeKey(made)))
    return
  }
  const { row, text } = made
  printRecord({ [`${row.kind} key`]: text, 'its id': row.id })
  if (row.kind === 'secret') print(row.sealedSecret === undefined ? SHOWN_ONCE : SHOWN_ONCE_KEPT_SEALED)
}

const SHOWN_ONCE_KEPT_SEALED =
  'The secret key is shown this once. It is kept sealed, to verify what its holder signs.'
export const SHOWN_ONCE = 'The secret key is shown this once and kept nowhere.'

function endText(key: KeyEnds): string {
  const soon = endingSoon(key, systemSeams.now())
  return `${moment(endOf(key))}${soon === undefined ? '' : `, within a ${soon}`}`
}

// Whichever comes first: a key that was to expire may have been revoked before.
function endOf({ revokedAt, expiresAt }: KeyEnds): number | undefined {
  const ends = [revokedAt, expiresAt].filter((end) => end !== undefined)
  return ends.length === 0 ? undefined : Math.min(...ends)
}
