/** What a group and a peer may be called (WIRE 4). */
export const PEER_ID = /^[a-zA-Z0-9_-]{1,36}$/

const LONGEST_PATTERN = 36
// An id's characters, and `: . @`: the documents of the product itself write `chat:room-12` (WIRE 4).
const PATTERN_CHARACTERS = /^[a-zA-Z0-9_:.@*-]*$/

/** A parsed pattern of one part of a policy: with a `*`, any run stands between head and tail. */
export interface PolicyPattern {
  /** The pattern as it was written. */
  readonly text: string
  /** What stands before the `*`; the whole id when there is none. */
  readonly head: string
  /** What stands behind the `*`; `undefined` when there is none. */
  readonly tail: string | undefined
}

/** Whom the holder of a peer token may connect to: peers whose group and whose id both match. */
export interface Policy {
  readonly groupId: PolicyPattern
  readonly peerId: PolicyPattern
}

/** Why a text is refused, worded to go on after its name: `has more than one *`. */
export interface PolicyFault {
  readonly fault: string
}

/** Reads one pattern of a policy: 1 to 36 characters, at most one `*`, which is any run (WIRE 4). */
export function parsePolicyPattern(text: string): PolicyPattern | PolicyFault {
  if (text === '') return { fault: 'is empty' }
  if (!PATTERN_CHARACTERS.test(text)) return { fault: 'holds a character other than a-z A-Z 0-9 _ - : . @ *' }
  if (text.length > LONGEST_PATTERN) return { fault: `is longer than ${LONGEST_PATTERN} characters` }
  const [head = '', tail, ...more] = text.split('*')
  return more.length > 0 ? { fault: 'has more than one *' } : { text, head, tail }
}

/** Reads a policy from its two patterns. The fault says which of them is wrong. */
export function parsePolicy(groupId: string, peerId: string): Policy | PolicyFault {
  const group = parsePolicyPattern(groupId)
  if ('fault' in group) return { fault: `has a group pattern that ${group.fault}` }
  const peer = parsePolicyPattern(peerId)
  if ('fault' in peer) return { fault: `has a peer pattern that ${peer.fault}` }
  return { groupId: group, peerId: peer }
}

/** Reads `group:peer`, as the command line takes it. A pattern may hold `:` itself, so the last one divides (WIRE 4). */
export function parsePolicyText(text: string): Policy | PolicyFault {
  const colon = text.lastIndexOf(':')
  if (colon < 0) return { fault: 'has no : between a group pattern and a peer pattern' }
  return parsePolicy(text.slice(0, colon), text.slice(colon + 1))
}

/** Whether the policy permits this peer of this group: both parts match, from end to end, case and all. */
export function policyMatches(policy: Policy, groupId: string, peerId: string): boolean {
  return policyPatternMatches(policy.groupId, groupId) && policyPatternMatches(policy.peerId, peerId)
}

/**
 * Whether `outer` permits all that `inner` permits. Ids of any length and any characters count, so a difference
 * that no id of 36 characters can show is a `false` too.
 */
export function policyContains(outer: Policy, inner: Policy): boolean {
  return partContains(outer.groupId, inner.groupId) && partContains(outer.peerId, inner.peerId)
}

/** Whether one part of a policy matches an id. */
export function policyPatternMatches({ head, tail }: PolicyPattern, id: string): boolean {
  if (tail === undefined) return id === head
  // `a*a` needs two letters: head and tail may not share one.
  return id.length >= head.length + tail.length && id.startsWith(head) && id.endsWith(tail)
}

/** Whatever the run of `inner` is, only its head is sure to begin an id, and only its tail to end one. */
function partContains(outer: PolicyPattern, inner: PolicyPattern): boolean {
  if (inner.tail === undefined) return policyPatternMatches(outer, inner.head)
  return outer.tail !== undefined && inner.head.startsWith(outer.head) && inner.tail.endsWith(outer.tail)
}
