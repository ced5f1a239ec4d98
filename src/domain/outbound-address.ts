import { BlockList, isIP } from 'node:net'

/** Where an address leads: to the internet, to a network of one's own, or to where no request of ours has any business. */
export type Reach = 'public' | 'private' | 'never'

/** RFC 1918, RFC 6598 (networks behind a provider's translation, and overlay networks), loopback, RFC 4193. */
const PRIVATE = listOf(
  ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8'],
  ['fc00::/7', '::1/128'],
)

/**
 * What the IANA registries of special-purpose addresses keep from the internet (RFC 6890), and where clouds tell a machine
 * its secrets: link-local for most, and the last ones of each list.
 */
const NEVER = listOf(
  [
    '0.0.0.0/8',
    '169.254.0.0/16',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/4',
    '240.0.0.0/4',
    '100.100.100.200/32',
    '168.63.129.16/32',
  ],
  ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', 'fd00:ec2::254/128'],
)

/** The only part of IPv6 from which the internet has its addresses (RFC 4291 §2.4). The rest holds IPv4 in disguise, too. */
const GLOBAL_IPV6 = listOf([], ['2000::/3'])

/** Lists look at the IPv4 address inside, and would take ::ffff:10.0.0.1 for a private one. */
const MAPPED = listOf([], ['::ffff:0:0/96'])

/** @param address an IP address; anything else leads nowhere, and one with a zone is of one link alone */
export function reachOf(address: string): Reach {
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return 'never'
  const family = version === 4 ? 'ipv4' : 'ipv6'
  if (family === 'ipv6' && MAPPED.check(address, family)) return 'never'
  if (NEVER.check(address, family)) return 'never'
  if (PRIVATE.check(address, family)) return 'private'
  return family === 'ipv4' || GLOBAL_IPV6.check(address, family) ? 'public' : 'never'
}

function listOf(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList()
  for (const [family, ranges] of [
    ['ipv4', ipv4],
    ['ipv6', ipv6],
  ] as const) {
    for (const range of ranges) {
      const [address = '', bits] = range.split('/')
      list.addSubnet(address, Number(bits), family)
    }
  }
  return list
}
