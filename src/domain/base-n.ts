const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * Writes a number with the digits `0-9A-Za-z` in this order, highest first, padded with `0` to `width`.
 * A number that needs more digits than `width` keeps its lowest ones.
 */
export function toBase62(value: bigint, width: number): string {
  let rest = value
  let text = ''
  while (text.length < width) {
    text = DIGITS.charAt(Number(rest % 62n)) + text
    rest /= 62n
  }
  return text
}

/** Reads bytes as one big-endian number. */
export function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => value * 256n + BigInt(byte), 0n)
}
