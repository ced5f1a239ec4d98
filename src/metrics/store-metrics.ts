import type { Follower } from '../keys/follower.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { Renew } from './metrics.ts'
import { Gauge, type Registry } from './prom-client.ts'

export interface StoreMetricsDeps {
  readonly follower: Pick<Follower, 'knowledge' | 'revision' | 'readAgeSeconds'>
  readonly keyring: Pick<Keyring, 'canSign'>
}

/** How well this process knows what is in the store, and whether it can sign with it. */
export function registerStoreMetrics(registry: Registry, { follower, keyring }: StoreMetricsDeps): Renew {
  const registers = [registry]
  const readable = new Gauge({
    name: 'jeton_store_readable',
    help: 'Whether the store was read within the last second.',
    registers,
  })
  const age = new Gauge({
    name: 'jeton_store_read_age_seconds',
    help: 'Since when this process knows of no change in the store.',
    registers,
  })
  const revision = new Gauge({
    name: 'jeton_store_revision',
    help: 'The revision of the store up to which this process knows everything.',
    registers,
  })
  const stale = new Gauge({
    name: 'jeton_store_stale',
    help: '1 when the store could not be read for so long that nothing is minted or judged.',
    registers,
  })
  const canSign = new Gauge({
    name: 'jeton_can_sign',
    help: '1 while every environment has a key that may sign.',
    registers,
  })

  return () => {
    const knowledge = follower.knowledge()
    readable.set(knowledge === 'fresh' ? 1 : 0)
    age.set(follower.readAgeSeconds())
    revision.set(follower.revision())
    stale.set(knowledge === 'stale' ? 1 : 0)
    canSign.set(keyring.canSign() === 'everywhere' ? 1 : 0)
  }
}
