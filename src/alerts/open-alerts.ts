import { lookup as systemLookup } from 'node:dns/promises'
import type { Journal } from '../journal/journal.ts'
import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import { createOutbox } from './outbox.ts'
import { createSpikeWatch } from './watch.ts'
import { createWebhook, type Delivery, type Lookup, type WebhookTarget } from './webhook.ts'

/** How often each process looks, and sends what is due. Usage is written about as often. */
const EVERY_MS = 5_000

/** How alerts stand. */
export interface AlertStanding {
  /** Open ones, of all processes. */
  readonly open: number
  /** Raised by this process. */
  readonly raised: number
  /** What became of this process's deliveries. */
  readonly deliveries: Readonly<Record<Delivery['result'], number>>
}

/** Looks for spikes of issuance, and tells of them. */
export interface Alerts {
  start(): void
  /** Looks, and sends what is due. It never fails: the log tells of it once. */
  work(): Promise<void>
  standing(): AlertStanding
  /** Begins nothing any more, and waits for what is under way; a delivery is broken off, and another process has it then. */
  stop(): Promise<void>
}

interface AlertsLog {
  info(message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface OpenAlertsDeps {
  readonly store: Pick<Store, 'alerts' | 'courses'>
  readonly journal: Pick<Journal, 'alert'>
  /** `undefined` when nobody is to be told. */
  readonly target: WebhookTarget | undefined
  readonly seams: Seams
  readonly log: AlertsLog
  readonly lookup?: Lookup
}

export function openAlerts(deps: OpenAlertsDeps): Alerts {
  const {
    store,
    journal,
    target,
    seams,
    log,
    lookup = (hostname) => systemLookup(hostname, { all: true }),
  } = deps
  let isEnding = false
  const watch = createSpikeWatch({ store, journal, seams, log, notifies: target !== undefined })
  const outbox =
    target &&
    createOutbox({
      alerts: store.alerts,
      webhook: createWebhook({ target, lookup, now: seams.now }),
      seams,
      log,
    })
  // Apart from each other: a receiver that is slow must not keep anybody from looking.
  const look = inTurn(
    watch.look,
    'spikes of issuance cannot be looked for',
    'spikes of issuance are looked for again',
  )
  const deliver = inTurn(
    outbox?.deliverDue ?? (async () => undefined),
    'notices of alerts cannot be read',
    'notices of alerts can be read again',
  )
  let timer: NodeJS.Timeout | undefined

  return {
    start() {
      timer = setInterval(() => void work(), EVERY_MS).unref()
    },
    work,
    standing: () => ({
      open: watch.open(),
      raised: watch.raised(),
      deliveries: outbox?.deliveries() ?? { delivered: 0, failed: 0, refused: 0 },
    }),
    async stop() {
      isEnding = true
      clearInterval(timer)
      outbox?.stop()
      await Promise.all([look.settled(), deliver.settled()])
    },
  }

  async function work(): Promise<void> {
    const delivered = deliver.run()
    await look.run()
    await delivered
    // What was raised just now.
    await deliver.run()
  }

  function inTurn(job: () => Promise<void>, failing: string, again: string) {
    let running: Promise<void> | undefined
    let isFailing = false

    return {
      run(): Promise<void> {
        if (isEnding) return running ?? Promise.resolve()
        running ??= attempt().finally(() => {
          running = undefined
        })
        return running
      },
      settled: async () => await running,
    }

    async function attempt(): Promise<void> {
      try {
        await job()
        if (isFailing) log.info(again)
        isFailing = false
      } catch (err) {
        if (!isFailing && !isEnding) log.error({ err }, failing)
        isFailing = true
      }
    }
  }
}
