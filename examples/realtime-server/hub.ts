import type { Metadata, ServerFrame } from './frames.ts'

/** One connection of a peer. Two tabs of the same user are two of them with the same id. */
export interface Member {
  readonly peerId: string
  /** What the others may know of it: the token's `peerMetadata`. */
  readonly metadata: Metadata | undefined
  deliver(frame: ServerFrame): void
}

/** How a member listens to a channel. */
export interface Listening {
  /** Whether it may know who else is there. */
  readonly seesPresence: boolean
  /** Whether it asked to be told the metadata of whoever sends. */
  readonly includeSenderMetadata: boolean
}

/** Who is here, and who listens to what. It knows no tokens: whoever calls it has asked the judge before. */
export interface Hub {
  enter(member: Member): void
  /** Takes a member out of everything. */
  exit(member: Member): void
  connectionCount(peerId: string): number
  /** Joins, or changes how a member listens that is there already. */
  join(member: Member, channel: string, listening: Listening): void
  leave(member: Member, channel: string): void
  channelsOf(member: Member): readonly string[]
  publish(from: Member, channel: string, data: unknown): void
  /** @returns whether that peer is here */
  send(from: Member, to: string, data: unknown): boolean
}

export function createHub(): Hub {
  const peers = new Map<string, Set<Member>>()
  const channels = new Map<string, Map<Member, Listening>>()
  const joined = new Map<Member, Set<string>>()

  return { enter, exit, connectionCount, join, leave, channelsOf, publish, send }

  function enter(member: Member): void {
    const members = peers.get(member.peerId) ?? new Set()
    peers.set(member.peerId, members.add(member))
  }

  function exit(member: Member): void {
    for (const channel of channelsOf(member)) leave(member, channel)
    const members = peers.get(member.peerId)
    members?.delete(member)
    // Nothing stays of whoever is gone, or strangers could fill the memory with ids.
    if (members?.size === 0) peers.delete(member.peerId)
  }

  function connectionCount(peerId: string): number {
    return peers.get(peerId)?.size ?? 0
  }

  function join(member: Member, channel: string, listening: Listening): void {
    const members = channels.get(channel) ?? new Map<Member, Listening>()
    const isNew = !hasPeer(members, member.peerId)
    members.set(member, listening)
    channels.set(channel, members)
    joined.set(member, (joined.get(member) ?? new Set()).add(channel))
    if (isNew)
      tellPresence(members, { type: 'presence', channel, joined: [present(member)], left: [] }, member)
    if (!listening.seesPresence) return
    // Everyone who is there, this one too: after a reconnection the client compares it with what it knew.
    const everyone = new Map([...members.keys()].map((one) => [one.peerId, present(one)]))
    member.deliver({ type: 'presence', channel, joined: [...everyone.values()], left: [] })
  }

  function leave(member: Member, channel: string): void {
    const members = channels.get(channel)
    if (members?.delete(member) !== true) return
    joined.get(member)?.delete(channel)
    if (joined.get(member)?.size === 0) joined.delete(member)
    if (members.size === 0) channels.delete(channel)
    if (hasPeer(members, member.peerId)) return
    tellPresence(members, { type: 'presence', channel, joined: [], left: [present(member)] })
  }

  function channelsOf(member: Member): readonly string[] {
    return [...(joined.get(member) ?? [])]
  }

  function publish(from: Member, channel: string, data: unknown): void {
    for (const [member, { includeSenderMetadata }] of channels.get(channel) ?? []) {
      if (member === from) continue
      const { peerId, metadata } = from
      const told = includeSenderMetadata && metadata !== undefined ? { fromMetadata: metadata } : {}
      member.deliver({ type: 'message', channel, from: peerId, ...told, data })
    }
  }

  function send({ peerId, metadata }: Member, to: string, data: unknown): boolean {
    const members = peers.get(to)
    const told = metadata === undefined ? {} : { fromMetadata: metadata }
    for (const member of members ?? []) member.deliver({ type: 'direct', from: peerId, ...told, data })
    return members !== undefined
  }
}

function tellPresence(members: ReadonlyMap<Member, Listening>, frame: ServerFrame, except?: Member): void {
  for (const [member, { seesPresence }] of members) {
    if (seesPresence && member !== except) member.deliver(frame)
  }
}

function hasPeer(members: ReadonlyMap<Member, Listening>, peerId: string): boolean {
  return members.keys().some((member) => member.peerId === peerId)
}

function present({ peerId, metadata }: Member) {
  return { peerId, ...(metadata === undefined ? {} : { metadata }) }
}
