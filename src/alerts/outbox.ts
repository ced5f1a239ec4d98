import type { Seams } from '../seams.ts'
import type { AlertStore, Notice } from '../store/store.ts'
import type { Delivery, Webhook } from './webhook.ts'

/** Nobody else takes a notice for so long: longer than a delivery may take. */
const HOLD_MS = 60_000
/** The wait behind the first attempt; each next one is three times as long … */
const FIRST_WAIT_MS = 5_000
const WAIT_FACTOR = 3
/** … up to this. */
const LONGEST_WAIT_MS = 3_600_000
/** A notice that is as old as this is given up: about fourteen attempts. */
const OLDEST_MS = 8 * 3_600_000
/** Sent by one call at most, so that a receiver that is slow holds a process up for a bounded time. */
const MOST_AT_ONCE = 20

interface OutboxLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface OutboxDeps {
  readonly alerts: Pick<AlertStore, 'takeNotice' | 'postponeNotice' | 'dropNotice'>
  readonly webhook: Webhook
  readonly seams: Pick<Seams, 'now' | 'random'>
  readonly log: OutboxLog
}

/** Sends the notices that lie in the database, whichever process put them there. */
export interface Outbox {
  /**
   * Sends what is due, one after another. A notice that fails is sent again later, by whoever comes first then.
   *
   * @throws what the store throws
   */
  deliverDue(): Promise<void>
  /** How many deliveries of this process came to what. */
  deliveries(): Readonly<Record<Delivery['result'], number>>
  /** Breaks off a delivery that is under way; its notice stays. */
  stop(): void
}

export function createOutbox({ alerts, webhook, seams, log }: OutboxDeps): Outbox {
  const { now } = seams
  const counts = { delivered: 0, failed: 0, refused: 0 }
  const stopping = new AbortController()

  return { deliverDue, deliveries: () => ({ ...counts }), stop: () => stopping.abort() }

  async function deliverDue(): Promise<void> {
    for (let sent = 0; sent < MOST_AT_ONCE && !stopping.signal.aborted; sent += 1) {
      const notice = await alerts.takeNotice(now(), now() + HOLD_MS)
      if (notice === undefined) return
      await deliver(notice)
    }
  }

  async function deliver(notice: Notice): Promise<void> {
    const { id, attempts } = notice
    const delivery = await webhook.send(notice, attempts, stopping.signal)
    counts[delivery.result] += 1
    if (delivery.result === 'delivered') {
      log.info({ noticeId: id, attempts }, 'alert delivered')
      await alerts.dropNotice(id)
      return
    }
    const { reason } = delivery
    const dueAt = now() + waitBefore(attempts + 1, delivery)
    const isOver = (delivery.result === 'failed' && delivery.isGone) || dueAt - notice.createdAt > OLDEST_MS
    if (isOver) {
      log.error({ noticeId: id, attempts, reason }, 'alert cannot be delivered, and is given up')
      await alerts.dropNotice(id)
    } else {
      log.warn({ noticeId: id, attempts, reason, result: delivery.result }, 'alert is not delivered yet')
      await alerts.postponeNotice(id, dueAt)
    }
  }

  // From half of the wait to all of it, so that many that failed together do not come back together.
  function waitBefore(attempt: number, delivery: Delivery): number {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * WAIT_FACTOR ** (attempt - 2))
    const [byte = 0] = seams.random(1)
    const asked = delivery.result === 'failed' ? (delivery.retryAfterSeconds ?? 0) * 1_000 : 0
    return Math.max(Math.round((wait / 2) * (1 + byte / 255)), Math.min(asked, LONGEST_WAIT_MS))
  }
}
