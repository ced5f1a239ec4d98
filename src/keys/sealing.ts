import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { Seams } from '../seams.ts'

/** Bytes of a master key and of a data key. */
export const SEALING_KEY_BYTES = 32

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const DERIVED_BYTES = 32

/** Seals and opens secrets. `context` names the row that a secret belongs to, and binds it there. */
export interface Sealer {
  seal(secret: Uint8Array, context: string): Uint8Array
  /** @throws SealError when the key is another one, or the sealed bytes or their context were changed */
  open(sealed: Uint8Array, context: string): Uint8Array
  /** 32 bytes for one purpose, the same wherever the key is, which tell nothing of it (RFC 5869). */
  derive(purpose: string): Uint8Array
}

/** What was sealed cannot be opened with this key, or not in this place. */
export class SealError extends Error {
  override readonly name = 'SealError'
}

/**
 * AES-256-GCM (NIST SP 800-38D) with a random nonce: nonce, ciphertext, tag. The context is its associated data.
 *
 * @param key SEALING_KEY_BYTES bytes
 */
export function createSealer(key: Uint8Array, random: Seams['random']): Sealer {
  return {
    seal,
    open,
    derive: (purpose) => new Uint8Array(hkdfSync('sha256', key, '', purpose, DERIVED_BYTES)),
  }

  function seal(secret: Uint8Array, context: string): Uint8Array {
    const nonce = random(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(context))
    return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()])
  }

  function open(sealed: Uint8Array, context: string): Uint8Array {
    const nonce = sealed.subarray(0, NONCE_BYTES)
    const tag = sealed.subarray(-TAG_BYTES)
    try {
      const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(context)).setAuthTag(tag)
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
    } catch (cause) {
      throw new SealError(`What is sealed as ${context} cannot be opened`, { cause })
    }
  }
}
