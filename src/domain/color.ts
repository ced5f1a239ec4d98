import { hash } from 'node:crypto'

/** Sixteen colours that can be told apart on white and on black. The order is part of the promise. */
const PALETTE = [
  '#6366f1',
  '#f59e0b',
  '#10b981',
  '#ef4444',
  '#3b82f6',
  '#ec4899',
  '#84cc16',
  '#8b5cf6',
  '#14b8a6',
  '#f97316',
  '#06b6d4',
  '#d946ef',
  '#22c55e',
  '#e11d48',
  '#0ea5e9',
  '#a16207',
] as const

/**
 * The colour of a user: palette[SHA-256(environment + ":" + userId) mod n], the digest read as one big-endian
 * number. The same user of the same environment always gets the same.
 */
export function colorOf(environmentId: string, userId: string): string {
  // Sixteen divides 256, so that the last byte alone decides.
  const lastByte = Number.parseInt(hash('sha256', `${environmentId}:${userId}`, 'hex').slice(-2), 16)
  return PALETTE[lastByte % PALETTE.length] ?? PALETTE[0]
}
