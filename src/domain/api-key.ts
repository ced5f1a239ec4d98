import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { toBase62, toBigInt } from './base-n.ts'

/** `secret` authenticates an app backend, `publishable` is safe in a browser, `admin` runs the installation. */
export type KeyKind = 'secret' | 'publishable' | 'admin'

/** Bytes of randomness in a key: 256 bits, as 43 base62 digits. */
export const KEY_RANDOM_BYTES = 32

const RANDOM_DIGITS = 43
const CHECKSUM_DIGITS = 6
const PREFIXES = { secret: 'sk', publishable: 'pk', admin: 'ak' } as const
const KINDS = { sk: 'secret', pk: 'publishable', ak: 'admin' } as const
const KEY_TEXT = /^(?:(sk|pk)_[a-z0-9]{1,8}|(ak))_[0-9A-Za-z]{49}$/

/**
 * Writes a key: prefix, the environment's tag (none for admin keys), 43 random digits, and the CRC-32 of all
 * of that as 6 digits, so that a typo is told apart from an unknown key without a look-up.
 *
 * @param random KEY_RANDOM_BYTES strong random bytes
 */
export function writeKey(kind: 'admin', tag: undefined, random: Uint8Array): string
export function writeKey(kind: 'secret' | 'publishable', tag: string, random: Uint8Array): string
export function writeKey(kind: KeyKind, tag: string | undefined, random: Uint8Array): string {
  const prefix = tag === undefined ? PREFIXES[kind] : `${PREFIXES[kind]}_${tag}`
  const text = `${prefix}_${toBase62(toBigInt(random), RANDOM_DIGITS)}`
  return text + checksumOf(text)
}

/** The kind of a well-formed key, or `undefined` for any text that no key can have. */
export function kindOfKey(text: string): KeyKind | undefined {
  const found = KEY_TEXT.exec(text)
  if (found === null || checksumOf(text.slice(0, -CHECKSUM_DIGITS)) !== text.slice(-CHECKSUM_DIGITS)) {
    return undefined
  }
  return found[2] === 'ak' ? KINDS.ak : found[1] === 'sk' ? KINDS.sk : KINDS.pk
}

/** SHA-256 of the key's text, base64url: what is stored and looked up. 256 random bits need no slow hash. */
export function digestOfKey(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** What a person may see of a key: its prefix and its last four characters. */
export function hintOfKey(text: string): string {
  return `${text.slice(0, text.lastIndexOf('_') + 1)}…${text.slice(-4)}`
}

function checksumOf(text: string): string {
  return toBase62(BigInt(crc32(text)), CHECKSUM_DIGITS)
}
