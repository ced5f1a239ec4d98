/** Makes the signature over a signing input (RFC 7515 §5.1), base64url. */
export type SignatureOf = (signingInput: string) => string

/** Signs payloads under one header, which is written once. */
export interface CompactSigner {
  /** The JWS in compact form (RFC 7515 §7.1) over a payload of JSON text. */
  sign(payload: string): string
  /** How many bytes `sign` would give for this payload. */
  sizeOf(payload: string): number
}

export function compactSigner(header: object, signatureOf: SignatureOf): CompactSigner {
  const encodedHeader = base64url(JSON.stringify(header))
  const signatureLength = signatureOf('').length
  return {
    sign(payload) {
      const signingInput = `${encodedHeader}.${base64url(payload)}`
      return `${signingInput}.${signatureOf(signingInput)}`
    },
    sizeOf(payload) {
      return encodedHeader.length + 1 + Math.ceil((Buffer.byteLength(payload) * 4) / 3) + 1 + signatureLength
    },
  }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
