import { z } from 'zod'

/** The largest payload of a message, in bytes of JSON: told to the client, which refuses a larger one by itself. */
export const MAX_MESSAGE_BYTES = 65_536
/** The largest frame: such a payload with a channel, an id and the punctuation around them. */
export const MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + 4_096

const CHANNEL_LIMIT_BYTES = 256
const CONTROL = /\p{Cc}/u

const requestId = z.string().min(1).max(128).optional()
// What Jeton takes as a channel in an ask. Anything else is refused here, and never asked about.
const channel = z
  .string()
  .min(1)
  .refine((name) => name.isWellFormed() && Buffer.byteLength(name) <= CHANNEL_LIMIT_BYTES)
  .refine((name) => !CONTROL.test(name))
const data = z.unknown().refine((value) => value !== undefined)

const clientFrame = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('subscribe'),
    channel,
    requestId,
    includeSenderMetadata: z.boolean().optional(),
  }),
  z.object({ type: z.literal('unsubscribe'), channel, requestId }),
  z.object({ type: z.literal('publish'), channel, data, requestId }),
  z.object({ type: z.literal('send'), to: z.string().min(1).max(128), data, requestId }),
  z.object({ type: z.literal('ping') }),
])

/** What a client may send. */
export type ClientFrame = z.output<typeof clientFrame>

export type Metadata = Readonly<Record<string, unknown>>
interface Present {
  readonly peerId: string
  readonly metadata?: Metadata
}

/** What this server sends. */
export type ServerFrame =
  | {
      readonly type: 'welcome'
      readonly peerId: string
      /** Unix seconds, as all times here; `null` when the connection ends with no token. */
      readonly expiresAt: number | null
      readonly serverTime: number
      readonly maxMessageSize: number
      readonly metadata: Metadata
    }
  | { readonly type: 'ack'; readonly requestId: string }
  | ErrorFrame
  | {
      readonly type: 'message'
      readonly channel: string
      readonly from: string
      readonly fromMetadata?: Metadata
      readonly data: unknown
    }
  | {
      readonly type: 'direct'
      readonly from: string
      readonly fromMetadata?: Metadata
      readonly data: unknown
    }
  | {
      readonly type: 'presence'
      readonly channel: string
      readonly joined: readonly Present[]
      readonly left: readonly Present[]
    }
  | { readonly type: 'pong' }

/** Why a frame was not acted upon. With a `requestId`, the client's promise is rejected with this code. */
export interface ErrorFrame {
  readonly type: 'error'
  readonly code: string
  readonly message: string
  readonly requestId?: string
}

/** Reads a frame that a stranger sent. What is none becomes the error to answer with. */
export function readFrame(text: string): ClientFrame | ErrorFrame {
  const sent = parseObject(text)
  if (sent === undefined) return errorFrame('malformed_message', 'A frame is a JSON object.')
  const read = clientFrame.safeParse(sent)
  if (read.success) return read.data
  const id = requestId.safeParse(sent.requestId).data
  return errorFrame(...faultOf(read.error.issues[0]?.path[0], sent.type), id)
}

export function errorFrame(code: string, message: string, requestId?: string): ErrorFrame {
  return { type: 'error', code, message, ...(requestId === undefined ? {} : { requestId }) }
}

function parseObject(text: string): Metadata | undefined {
  try {
    return z.record(z.string(), z.unknown()).safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function faultOf(member: PropertyKey | undefined, type: unknown): [code: string, message: string] {
  switch (member) {
    case 'channel':
      return ['invalid_channel', `A channel is 1 to ${CHANNEL_LIMIT_BYTES} bytes without control characters.`]
    case 'to':
      return ['invalid_peer_id', 'The id of a peer is 1 to 128 characters.']
    case 'data':
      return ['missing_data', 'There is no data.']
    case 'type':
      return typeof type === 'string'
        ? ['unknown_type', 'There is no frame of this type.']
        : ['malformed_message', 'A frame has a type.']
    default:
      return ['malformed_message', 'A member of the frame is of another kind.']
  }
}
