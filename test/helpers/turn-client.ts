import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { on } from 'node:events'
import type { IceServer } from '../../src/domain/turn.ts'

/** What a TURN server answered to an Allocate: the address of the relay, or the code of an error. */
export type Allocation = { readonly relayedAddress: string } | { readonly errorCode: number }

/** An attribute's type and value (RFC 8489 §14). */
type Attribute = readonly [type: number, value: Uint8Array]

interface Address {
  readonly host: string
  readonly port: number
}

// RFC 8489 §5 and §18.2, RFC 8656 §17 and §18. A success is the request with the bit 0x0100, an error with 0x0110.
const BINDING = 0x0001
const ALLOCATE = 0x0003
const USERNAME = 0x0006
const MESSAGE_INTEGRITY = 0x0008
const ERROR_CODE = 0x0009
const REALM = 0x0014
const NONCE = 0x0015
const XOR_RELAYED_ADDRESS = 0x0016
const REQUESTED_TRANSPORT = 0x0019
const MAGIC_COOKIE = Buffer.from('2112a442', 'hex')
const UDP = 17

const HEADER_BYTES = 20
const INTEGRITY_BYTES = 24

/** Closer together than RFC 8489 §6.2.1 has it: nothing but loopback lies between. */
const RETRANSMIT_MS = 50
const PATIENCE_MS = 10_000

/** Waits until a STUN server answers a Binding request (RFC 8489 §3), which a TURN server does as well. */
export async function answersBinding(port: number): Promise<void> {
  await using socket = createSocket('udp4')
  await exchange(socket, { host: '127.0.0.1', port }, encode(BINDING, []))
}

/**
 * Asks the first of a TURN server's URLs for a relay over UDP (RFC 8656 §7.1), with its long-term credential
 * (RFC 8489 §9.2).
 */
export async function allocate({ urls, username, credential }: IceServer): Promise<Allocation> {
  const server = addressOf(urls[0])
  // A nonce belongs to the client's address, so that both requests leave from one socket.
  await using socket = createSocket('udp4')
  const transport: Attribute = [REQUESTED_TRANSPORT, Buffer.from([UDP, 0, 0, 0])]
  // RFC 8489 §9.2.3.1: the first request carries no credential; its refusal names the realm and a nonce.
  const challenge = await exchange(socket, server, encode(ALLOCATE, [transport]))
  if (errorCodeOf(challenge) !== 401) throw new Error(`No challenge: ${challenge.toString('hex')}`)
  const [realm, nonce] = [find(challenge, REALM), find(challenge, NONCE)]
  // RFC 8489 §9.2.2
  const key = createHash('md5').update(`${username}:${realm}:${credential}`).digest()
  const user: Attribute = [USERNAME, Buffer.from(username)]
  const request = encode(ALLOCATE, [transport, user, [REALM, realm], [NONCE, nonce]])
  const answer = await exchange(socket, server, withIntegrity(request, key))
  if (answer.readUInt16BE(0) !== (ALLOCATE | 0x0100)) return { errorCode: errorCodeOf(answer) }
  // RFC 8489 §9.2.5: a success that does not know the password is none. Only FINGERPRINT may follow, and is not used.
  if (!withIntegrity(answer.subarray(0, -INTEGRITY_BYTES), key).equals(answer)) {
    throw new Error('The server proved no knowledge of the password')
  }
  return { relayedAddress: unmask(find(answer, XOR_RELAYED_ADDRESS)) }
}

/** Sends a request again and again (RFC 8489 §6.2.1) until its answer is there. */
async function exchange(socket: Socket, { host, port }: Address, request: Buffer): Promise<Buffer> {
  const answers = on(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })
  const send = () => socket.send(request, port, host)
  const retransmission = setInterval(send, RETRANSMIT_MS)
  send()
  try {
    for await (const message of answers) {
      const answer: Buffer = message[0]
      // The magic cookie and the transaction id: an answer to an earlier request may still be on its way.
      if (answer.subarray(4, HEADER_BYTES).equals(request.subarray(4, HEADER_BYTES))) return answer
    }
    throw new Error('The socket was closed')
  } finally {
    clearInterval(retransmission)
  }
}

/** A message with a new transaction id (RFC 8489 §5). */
function encode(type: number, attributes: readonly Attribute[]): Buffer {
  const body = Buffer.concat(attributes.map(encodeAttribute))
  const typeAndLength = Buffer.alloc(4)
  typeAndLength.writeUInt16BE(type, 0)
  typeAndLength.writeUInt16BE(body.length, 2)
  return Buffer.concat([typeAndLength, MAGIC_COOKIE, randomBytes(12), body])
}

/** RFC 8489 §14: the value is padded to a multiple of four bytes, which its length does not count. */
function encodeAttribute([type, value]: Attribute): Buffer {
  const attribute = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  attribute.writeUInt16BE(type, 0)
  attribute.writeUInt16BE(value.length, 2)
  attribute.set(value, 4)
  return attribute
}

/** RFC 8489 §14.5: an HMAC of all before it, under a header that counts it already. */
function withIntegrity(message: Buffer, key: Buffer): Buffer {
  const covered = Buffer.from(message)
  covered.writeUInt16BE(message.length - HEADER_BYTES + INTEGRITY_BYTES, 2)
  const digest = createHmac('sha1', key).update(covered).digest()
  return Buffer.concat([covered, encodeAttribute([MESSAGE_INTEGRITY, digest])])
}

function find(message: Buffer, wanted: number): Buffer {
  let at = HEADER_BYTES
  while (at < message.length) {
    const length = message.readUInt16BE(at + 2)
    if (message.readUInt16BE(at) === wanted) return message.subarray(at + 4, at + 4 + length)
    at += 4 + Math.ceil(length / 4) * 4
  }
  throw new Error(`No attribute ${wanted} in ${message.toString('hex')}`)
}

/** RFC 8489 §14.8 */
function errorCodeOf(message: Buffer): number {
  const value = find(message, ERROR_CODE)
  return value.readUInt8(2) * 100 + value.readUInt8(3)
}

/** The IPv4 address in an XOR-RELAYED-ADDRESS (RFC 8656 §18.5, RFC 8489 §14.2). */
function unmask(value: Buffer): string {
  return [...MAGIC_COOKIE].map((byte, index) => byte ^ value.readUInt8(4 + index)).join('.')
}

/** RFC 7065 §3.1, with an IPv4 address and a port. */
function addressOf(url: string | undefined): Address {
  const [, host, port] = /^turn:([\d.]+):(\d+)(?:\?transport=udp)?$/.exec(url ?? '') ?? []
  if (host === undefined) throw new Error(`Not a TURN server over UDP: ${url}`)
  return { host, port: Number(port) }
}
