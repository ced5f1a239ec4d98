import type { AlertRecord } from '../journal/journal.ts'
import type { Alert, NewNotice } from '../store/store.ts'
import { WHOLE } from './spike.ts'

const MINUTE_MS = 60_000

/** An alert as the log, the journal and the receiver of notices are told of it. */
export function alertRecord(event: AlertRecord['event'], alert: Alert): AlertRecord {
  const { id: alertId, environmentId, keyId, minute, issued, median, closedMinute, why, peak } = alert
  return {
    event,
    alertId,
    environmentId,
    keyId: keyId === WHOLE ? undefined : keyId,
    minute: momentOf(minute),
    issued,
    median,
    ...(closedMinute !== undefined && { closedMinute: momentOf(closedMinute) }),
    ...(why !== undefined && { why }),
    ...(peak !== undefined && { peak }),
  }
}

/** What is sent about it. Its id is the event's, so that a receiver can tell one that comes twice. */
export function noticeOf({ event, ...data }: AlertRecord, now: number): NewNotice {
  const { alertId, keyId = null } = data
  const timestamp = new Date(now).toISOString()
  return {
    id: `${alertId}_${event}`,
    body: JSON.stringify({ type: `spike.${event}`, timestamp, data: { ...data, keyId } }),
    createdAt: now,
  }
}

/** When a minute began, in ISO 8601 without what is always zero. */
export function momentOf(minute: number): string {
  return new Date(minute * MINUTE_MS).toISOString().replace('.000Z', 'Z')
}
