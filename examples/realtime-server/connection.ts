import { randomUUID } from 'node:crypto'
import type { WebSocket } from 'ws'
import { z } from 'zod'
import {
  type ClientFrame,
  errorFrame,
  MAX_MESSAGE_BYTES,
  type Metadata,
  readFrame,
  type ServerFrame,
} from './frames.ts'
import type { Hub, Member } from './hub.ts'
import type { Allowed, Ask, Decision, Judge, Presented, Refused } from './judge.ts'

/** Why a connection ends. The client gives up after 4001 and 4003, and comes back with a fresh token after 4002. */
export const closeCodes = {
  shuttingDown: 1001,
  unsupportedData: 1003,
  internal: 1011,
  /** We cannot tell whether it may come in: it may try again. */
  tryAgainLater: 1013,
  invalid: 4001,
  expired: 4002,
  tooManyConnections: 4010,
  tooManyMessages: 4011,
} as const

const MOST_CHANNELS = 100
/** Connections of one peer: tabs and devices, not a loop that has gone wrong. */
const MOST_CONNECTIONS_OF_A_PEER = 20
/** Frames that wait for those before them. A client that does not wait for its answers ends here. */
const MOST_WAITING_FRAMES = 256
/** What lies unread for a client that is too slow, until it is cut off. */
const MOST_UNREAD_BYTES = 4_194_304

/** What our own close is called on the wire, where the gate has a name of its own for it. */
const errorCodes: Readonly<Record<string, string>> = {
  channel_not_granted: 'channel_not_authorized',
  action_not_granted: 'action_not_permitted',
}

const metadata = z.record(z.string(), z.unknown()).optional().catch(undefined)

interface ConnectionDeps {
  readonly socket: WebSocket
  readonly presented: Presented
  readonly judge: Judge
  readonly hub: Hub
  /** Unix milliseconds. */
  readonly now: () => number
  readonly log: (event: string, about: Readonly<Record<string, unknown>>) => void
}

/** A client that is here, or is being judged. */
export interface Connection {
  readonly presented: Presented
  /** Judges it anew, and closes it if it may not be here any more. */
  review(): Promise<void>
  close(code: number, reason: string): void
}

export function openConnection({ socket, presented, judge, hub, now, log }: ConnectionDeps): Connection {
  let member: Member | undefined
  let end: NodeJS.Timeout | undefined
  let waiting = 0
  let work = Promise.resolve()

  socket.on('message', (data, isBinary) => {
    if (!isOpen()) return
    if (isBinary) close(closeCodes.unsupportedData, 'text_only')
    else if (waiting >= MOST_WAITING_FRAMES) close(closeCodes.tooManyMessages, 'too_many_messages')
    else enqueue(() => handle(readFrame(String(data))))
  })
  // A frame that is too large or no WebSocket frame at all: ws closes with 1009 or 1002 by itself.
  socket.on('error', () => undefined)
  socket.once('close', forget)
  enqueue(admit)

  return { presented, review, close }

  // One after another, though each has to be judged first: whoever publishes twice is heard in that order.
  function enqueue(task: () => Promise<void> | void): void {
    waiting += 1
    work = work
      .then(() => (isOpen() ? task() : undefined))
      .catch((error: unknown) => {
        log('frame failed', { error: String(error) })
        close(closeCodes.internal, 'internal')
      })
      .finally(() => {
        waiting -= 1
      })
  }

  async function admit(): Promise<void> {
    const decision = await decide()
    if (!isOpen()) return
    if (decision === undefined) return close(closeCodes.tryAgainLater, 'unavailable')
    if (!decision.allowed) return refuse(decision)
    // A token of another kind says nothing about channels, even if it was signed with the same key.
    if (decision.format !== null && decision.format !== 'channels')
      return close(closeCodes.invalid, 'ask_not_for_format')
    const { subject, expiresAt, claims } = decision
    const peerId = subject ?? `guest-${randomUUID()}`
    if (hub.connectionCount(peerId) >= MOST_CONNECTIONS_OF_A_PEER)
      return close(closeCodes.tooManyConnections, 'too_many_connections')
    // Jeton lets a token in for ten seconds more, since clocks differ. It would be closed at once here.
    const remainingMs = expiresAt === null ? undefined : expiresAt * 1000 - now()
    if (remainingMs !== undefined) {
      if (remainingMs <= 0) return close(closeCodes.expired, 'token_expired')
      end = setTimeout(() => close(closeCodes.expired, 'token_expired'), remainingMs)
    }
    member = { peerId, metadata: metadata.parse(claims.peerMetadata), deliver }
    hub.enter(member)
    deliver(welcome(peerId, decision))
  }

  function welcome(peerId: string, { expiresAt, claims }: Allowed): ServerFrame {
    const own: Metadata = metadata.parse(claims.metadata) ?? {}
    const serverTime = Math.floor(now() / 1000)
    return {
      type: 'welcome',
      peerId,
      expiresAt,
      serverTime,
      maxMessageSize: MAX_MESSAGE_BYTES,
      metadata: own,
    }
  }

  async function handle(frame: ClientFrame | ReturnType<typeof errorFrame>): Promise<void> {
    if (member === undefined) return
    switch (frame.type) {
      case 'error':
        return deliver(frame)
      case 'ping':
        return deliver({ type: 'pong' })
      case 'subscribe':
        return subscribe(member, frame)
      case 'unsubscribe':
        hub.leave(member, frame.channel)
        return acknowledge(frame.requestId)
      case 'publish':
        if (!(await may({ action: 'publish', channel: frame.channel }, frame.requestId))) return
        hub.publish(member, frame.channel, frame.data)
        return acknowledge(frame.requestId)
      case 'send':
        if (!(await may({ action: 'send' }, frame.requestId))) return
        if (hub.send(member, frame.to, frame.data)) return acknowledge(frame.requestId)
        return deliver(errorFrame('peer_not_found', 'That peer is not here.', frame.requestId))
      default:
        return frame satisfies never
    }
  }

  async function subscribe(
    member: Member,
    { channel, requestId, includeSenderMetadata = false }: ClientFrame & { type: 'subscribe' },
  ): Promise<void> {
    const channels = hub.channelsOf(member)
    if (channels.length >= MOST_CHANNELS && !channels.includes(channel)) {
      const message = `A connection may be in ${MOST_CHANNELS} channels.`
      return deliver(errorFrame('channel_limit_exceeded', message, requestId))
    }
    if (!(await may({ action: 'subscribe', channel }, requestId))) return
    const presence = await decide({ action: 'presence', channel })
    // It may have gone while we asked. Whoever joined then would never leave.
    if (!isOpen()) return
    acknowledge(requestId)
    hub.join(member, channel, { seesPresence: presence?.allowed === true, includeSenderMetadata })
  }

  /** Asks, and answers a refusal. */
  async function may(ask: Ask, requestId: string | undefined): Promise<boolean> {
    const decision = await decide(ask)
    if (!isOpen()) return false
    if (decision?.allowed) return true
    if (decision === undefined) {
      deliver(errorFrame('unavailable', 'This cannot be decided now. Try again.', requestId))
      return false
    }
    const { code, detail } = decision
    // The true sentence is for our log: it names what the token grants.
    log('refused', { peerId: member?.peerId, code, detail })
    deliver(errorFrame(errorCodes[code] ?? code, 'This is not granted.', requestId))
    // Listening alone is a right as well: who tries to publish without being granted that may stay. Whoever reaches
    // for a channel that is not theirs, or is not valid any more, has to come back with another token.
    if (code !== 'action_not_granted') refuse(decision)
    return false
  }

  async function review(): Promise<void> {
    const asks: (Ask | undefined)[] = [undefined]
    // What a publishable key grants can be changed while it lives; what a token grants cannot.
    if (member !== undefined && presented.token === undefined)
      asks.push(...hub.channelsOf(member).map((channel) => ({ action: 'subscribe', channel }) as const))
    for (const ask of asks) {
      // It may have gone since the others were judged, or while we asked.
      if (!isOpen()) return
      const decision = await decide(ask)
      if (decision?.allowed === false) return refuse(decision)
    }
  }

  async function decide(ask?: Ask): Promise<Decision | undefined> {
    try {
      return await judge.judge(presented, ask)
    } catch (error) {
      log('judge unavailable', { error: String(error) })
      return undefined
    }
  }

  function acknowledge(requestId: string | undefined): void {
    if (requestId !== undefined) deliver({ type: 'ack', requestId })
  }

  function deliver(frame: ServerFrame): void {
    if (!isOpen()) return
    if (socket.bufferedAmount > MOST_UNREAD_BYTES) socket.terminate()
    else socket.send(JSON.stringify(frame))
  }

  function refuse({ code, closeCode, detail }: Refused): void {
    if (isOpen()) log('closed', { peerId: member?.peerId, code, detail })
    close(closeCode, code)
  }

  // It is out of everything from now on, however long its side takes to answer the close.
  function close(code: number, reason: string): void {
    forget()
    socket.close(code, reason)
  }

  function forget(): void {
    clearTimeout(end)
    if (member !== undefined) hub.exit(member)
    member = undefined
  }

  function isOpen(): boolean {
    return socket.readyState === socket.OPEN
  }
}
