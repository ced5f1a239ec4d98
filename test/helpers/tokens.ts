import { createHmac, createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Grant } from '../../src/domain/grant.ts'
import { generateApiKey } from '../../src/keys/api-keys.ts'
import { forLocalSigning } from '../../src/keys/local-signing.ts'
import type { SigningAlgorithm } from '../../src/store/store.ts'
import type { TestService } from './app.ts'

/** What signs a text: the secret of an HMAC, or a private key. */
export type SigningMaterial = string | Uint8Array | KeyObject

/** What may stand in a part of a token: a value to be written as JSON, or bytes as they are. */
type Part = unknown

/** One part of a JWS as it is written. */
export function encodePart(part: Part): string {
  return Buffer.from(part instanceof Uint8Array ? part : JSON.stringify(part)).toString('base64url')
}

/** A JWS in compact form, made by hand: nothing in it has to be right. */
export function signToken(header: Part, payload: Part, material: SigningMaterial): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`
  return `${input}.${signatureOf(input, material)}`
}

export function signatureOf(input: string, material: SigningMaterial): string {
  if (typeof material === 'string' || material instanceof Uint8Array) {
    return createHmac('sha256', material).update(input).digest('base64url')
  }
  return sign(null, Buffer.from(input), material).toString('base64url')
}

/** The header and the claims of a token, to be changed and signed anew. */
export function partsOf(token: string) {
  return { header: { ...decodeProtectedHeader(token) }, claims: { ...decodeJwt(token) } }
}

/** What signs an environment's own tokens, taken out of the store: what a thief of it would hold. */
export async function materialOf(
  { store, sealer, made }: TestService,
  algorithm: SigningAlgorithm,
  environmentId = made.environment.id,
): Promise<{ kid: string; material: SigningMaterial; publicJwk: string | undefined }> {
  const keys = await store.listSigningKeys(environmentId)
  const key = keys.find((one) => one.algorithm === algorithm && one.format === undefined)
  if (key === undefined) throw new Error(`There is no ${algorithm} key`)
  const { kid, publicJwk } = key
  const secret = Buffer.from(sealer.open(key.sealedSecret, `signing_key/${environmentId}/${kid}`))
  return { kid, publicJwk, material: algorithm === 'HS256' ? secret : createPrivateKey(secret.toString()) }
}

const DRAFTS = {
  user: ['/auth/token', { userId: 'alice', name: 'Alice' }],
  channels: [
    '/v1/tokens',
    { peerId: 'alice', channels: ['room-*', 'deep/**'], permissions: ['publish', 'subscribe', 'send'] },
  ],
  client: ['/v1/client/tokens', { userId: 'alice', expiresIn: 600, allowedModels: ['a'] }],
  peer: ['/v1/peer/tokens', { groupId: 'g', peerId: 'p', allowPolicy: { groupId: 'g*', peerId: 'user-*' } }],
} as const

export type FormatName = keyof typeof DRAFTS
export const FORMAT_NAMES = ['user', 'channels', 'client', 'peer'] as const satisfies readonly FormatName[]

/** Mints a token over HTTP; `more` takes the place of what is asked for by default. */
export async function mintToken(
  { post }: TestService,
  format: FormatName,
  more: object = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const [path, draft] = DRAFTS[format]
  const reply = await post(path, { ...draft, ...more }, headers)
  if (reply.statusCode !== 200) throw new Error(`${path}: ${reply.body}`)
  return reply.json().token
}

/** A secret key with which a backend signs by itself. */
export async function makeLocalKey(
  { store, sealer, seams, made, follower }: TestService,
  { grant, expiresAt }: { grant?: Grant; expiresAt?: number } = {},
): Promise<{ id: string; text: string }> {
  const carried = { ...(grant && { grant }), ...(expiresAt && { expiresAt }) }
  const { row, text } = forLocalSigning(generateApiKey('secret', made.environment, seams, carried), sealer)
  await store.change((changes) => changes.insertApiKey(row))
  await follower.refresh()
  return { id: row.id, text }
}
