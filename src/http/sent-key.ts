import type { IncomingHttpHeaders } from 'node:http'
import { JetonError } from '../domain/errors.ts'
import type { Credentials } from '../keys/keyring.ts'

/**
 * Finds the secret key: `Bearer sk_…`, `Bearer kid_…:sk_…`, `Basic` of these two, or `X-API-KEY: sk_…`.
 *
 * @throws JetonError `key_malformed` when two different ones were sent
 */
export function readCredentials(headers: IncomingHttpHeaders): Credentials | undefined {
  const bearer = readBearer(headers) ?? readBasic(headers)
  const apiKey = headers['x-api-key']
  const other = typeof apiKey === 'string' && apiKey !== '' ? apiKey : undefined
  if (bearer !== undefined && other !== undefined && bearer !== other) {
    throw new JetonError('key_malformed', 'Two different keys were sent: in Authorization and in X-API-KEY.')
  }
  const text = bearer ?? other
  if (text === undefined) return undefined
  const colon = text.indexOf(':')
  return colon === -1
    ? { text, keyId: undefined }
    : { text: text.slice(colon + 1), keyId: text.slice(0, colon) }
}

/** What stands behind `Bearer`. */
export function readBearer({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /^Bearer[ \t]+(\S+)$/i.exec(authorization)?.[1]
}

// RFC 6749 §2.3.1: how OAuth's own libraries send a client's id and secret, each of them written as in a form.
function readBasic({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  const encoded = /^Basic[ \t]+([\w+/=-]+)$/i.exec(authorization)?.[1]
  return encoded && Buffer.from(encoded, 'base64').toString().split(':').map(decodeForm).join(':')
}

// A % that escapes nothing stands as it is: no key holds one, so that the text is refused like any other that is none.
function decodeForm(text: string): string {
  return text.replace(/%[0-9a-f]{2}/gi, (escaped) =>
    String.fromCharCode(Number.parseInt(escaped.slice(1), 16)),
  )
}
