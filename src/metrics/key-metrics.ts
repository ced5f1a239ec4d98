import { endingSoon } from '../domain/key-life.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { Renew } from './metrics.ts'
import { Gauge, type Registry } from './prom-client.ts'

export interface KeyMetricsDeps {
  readonly keyring: Pick<Keyring, 'livingKeys'>
  /** Unix milliseconds. */
  readonly now: () => number
}

/** Living secret and publishable keys: how many there are, were exposed, and end soon. Archived environments' are none. */
export function registerKeyMetrics(registry: Registry, { keyring, now }: KeyMetricsDeps): Renew {
  const registers = [registry]
  const living = new Gauge({ name: 'jeton_keys', help: 'Living keys.', labelNames: ['kind'], registers })
  const exposed = new Gauge({
    name: 'jeton_keys_exposed',
    help: 'Living keys that a browser sent or that were reported as leaked.',
    registers,
  })
  const ending = new Gauge({
    name: 'jeton_keys_ending',
    help: 'Living keys that end within a day, and within a week, those of the day included.',
    labelNames: ['within'],
    registers,
  })
  const nextEnd = new Gauge({
    name: 'jeton_keys_next_end_timestamp_seconds',
    help: 'When the next living key ends by itself, in unix seconds. Not there while none does.',
    registers,
  })

  return () => {
    let soonest = Number.POSITIVE_INFINITY
    const keys = { secret: 0, publishable: 0 }
    const ends = { day: 0, week: 0 }
    let flagged = 0
    for (const key of keyring.livingKeys()) {
      keys[key.kind] += 1
      if (key.exposedAt !== undefined) flagged += 1
      if (key.expiresAt !== undefined) soonest = Math.min(soonest, key.expiresAt)
      const within = endingSoon(key, now())
      if (within !== undefined) ends[within] += 1
    }
    living.set({ kind: 'secret' }, keys.secret)
    living.set({ kind: 'publishable' }, keys.publishable)
    exposed.set(flagged)
    ending.set({ within: 'day' }, ends.day)
    ending.set({ within: 'week' }, ends.day + ends.week)
    nextEnd.remove()
    if (Number.isFinite(soonest)) nextEnd.set(soonest / 1000)
  }
}
