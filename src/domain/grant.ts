import { BlockList, isIP } from 'node:net'
import { type Budget, contains } from './containment.ts'
import { type Pattern, parsePattern } from './pattern.ts'
import { type Policy, parsePolicy, policyContains, policyPatternMatches } from './policy.ts'

/** What a secret key may be used for. */
export const USES = ['mint', 'verify', 'revoke'] as const
export type Use = (typeof USES)[number]

/** The most channel patterns, and the most policies, in one grant. */
export const MOST_PATTERNS = 20

/**
 * The ceiling of a secret key: what the tokens that it mints may hold at most, as it is kept. A member left out does
 * not limit; an empty list allows nothing.
 */
export interface Grant {
  readonly uses?: readonly Use[] | undefined
  readonly formats?: readonly string[] | undefined
  readonly channels?: readonly string[] | undefined
  readonly permissions?: readonly string[] | undefined
  readonly policies?: readonly { readonly groupId: string; readonly peerId: string }[] | undefined
  readonly models?: readonly string[] | undefined
  readonly origins?: readonly string[] | undefined
  readonly maxTtlSeconds?: number | undefined
  /** Addresses and CIDR ranges that the key may be used from. */
  readonly addresses?: readonly string[] | undefined
}

/** What is needed of a `BlockList`: the types of the verifier's package name none of Node's own. */
interface AddressList {
  check(address: string, family: 'ipv4' | 'ipv6'): boolean
}

/** A grant made ready to compare with: once per key, not per request. */
export interface Ceiling {
  readonly grant: Grant
  readonly channels: readonly Pattern[] | undefined
  readonly policies: readonly Policy[] | undefined
  readonly addresses: AddressList | undefined
}

/** What a request needs its key to be granted. A member left out needs nothing. */
export interface Needs {
  readonly format: string
  readonly channels?: readonly Pattern[] | undefined
  readonly permissions?: readonly string[] | undefined
  /** The group that the holder is to be of. */
  readonly groupId?: string | undefined
  readonly policy?: Policy | undefined
  readonly models?: readonly string[] | undefined
  readonly origins?: readonly string[] | undefined
}

/** Where a request goes beyond a grant. */
export interface Excess {
  readonly member: keyof Grant
  readonly asked: string
  readonly allowed: readonly string[]
}

/** Makes a grant ready. What is no pattern, policy or address in it allows nothing: the schema refuses it earlier. */
export function ceilingOf(grant: Grant): Ceiling {
  return {
    grant,
    channels: grant.channels?.map(parsePattern).filter((parsed) => 'text' in parsed),
    policies: grant.policies
      ?.map(({ groupId, peerId }) => parsePolicy(groupId, peerId))
      .filter((parsed) => 'groupId' in parsed),
    addresses: grant.addresses && addressList(grant.addresses),
  }
}

/** Whether the key may be used from this address. */
export function admitsAddress({ addresses }: Ceiling, address: string): boolean {
  return addresses === undefined || addresses.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** Whether the key may be used for this. */
export function admitsUse({ grant }: Ceiling, use: Use): boolean {
  return grant.uses === undefined || grant.uses.includes(use)
}

/**
 * Where a request goes beyond a grant, or `undefined` when it stays within. One function for every format: each only
 * says what it needs.
 *
 * @param budget of the whole request; a pattern that cannot be decided within it counts as beyond
 */
export function excessOf(ceiling: Ceiling, needs: Needs, budget: Budget): Excess | undefined {
  const { grant } = ceiling
  return (
    notListed('formats', [needs.format], grant.formats) ??
    channelExcess(needs.channels, ceiling.channels, budget) ??
    notListed('permissions', needs.permissions, grant.permissions) ??
    policyExcess(needs, ceiling.policies) ??
    notListed('models', needs.models, grant.models) ??
    notListed('origins', needs.origins, grant.origins)
  )
}

function notListed(
  member: keyof Grant,
  asked: readonly string[] = [],
  allowed: readonly string[] | undefined,
): Excess | undefined {
  const beyond = allowed && asked.find((value) => !allowed.includes(value))
  return beyond === undefined || allowed === undefined ? undefined : { member, asked: beyond, allowed }
}

function channelExcess(
  asked: readonly Pattern[] = [],
  allowed: readonly Pattern[] | undefined,
  budget: Budget,
): Excess | undefined {
  const beyond =
    allowed && asked.find((inner) => !allowed.some((outer) => contains(outer, inner, budget) === 'yes'))
  if (beyond === undefined || allowed === undefined) return undefined
  return { member: 'channels', asked: beyond.text, allowed: allowed.map(({ text }) => text) }
}

// A key that is limited to policies mints peers of their groups alone, and no wider policy for them.
function policyExcess(
  { groupId, policy }: Needs,
  allowed: readonly Policy[] | undefined,
): Excess | undefined {
  if (allowed === undefined) return undefined
  const beyond = (asked: string): Excess => ({ member: 'policies', asked, allowed: allowed.map(policyText) })
  if (groupId !== undefined && !allowed.some((outer) => policyPatternMatches(outer.groupId, groupId))) {
    return beyond(`the group ${groupId}`)
  }
  if (policy !== undefined && !allowed.some((outer) => policyContains(outer, policy)))
    return beyond(policyText(policy))
  return undefined
}

function policyText({ groupId, peerId }: Policy): string {
  return `${groupId.text}:${peerId.text}`
}

function addressList(entries: readonly string[]): AddressList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
