import type { Logger } from 'pino'
import { type Alerts, openAlerts } from './alerts/open-alerts.ts'
import { type Config, StartError } from './config.ts'
import { createGate, type Gate } from './gate/gate.ts'
import { createRevocations, type Revocations } from './gate/revocations.ts'
import { createRevoke, type Revoke } from './gate/revoke.ts'
import type { Installation } from './installation.ts'
import { createChangeHeads, tellChangeHeads } from './journal/change-head.ts'
import { openFileJournal } from './journal/file-journal.ts'
import { journalFolder } from './journal/folder.ts'
import { tellHeads } from './journal/head-log.ts'
import type { Journal, WrittenBatch } from './journal/journal.ts'
import { warnOfLargeTokens } from './journal/large-tokens.ts'
import { noJournal } from './journal/no-journal.ts'
import { createRecentIssuances, type RecentIssuances } from './journal/recent.ts'
import { createStdoutJournal, type RecordStream } from './journal/stdout-journal.ts'
import { createEndingKeys } from './keys/ending-keys.ts'
import { createFollower, type Follower } from './keys/follower.ts'
import { createKeyring, type Keyring } from './keys/keyring.ts'
import { createLastUses, type LastUses } from './keys/last-uses.ts'
import { type AuthFailures, createAuthFailures } from './limits/auth-failures.ts'
import type { Limiter, Sharing } from './limits/limiter.ts'
import { createMemoryLimiter } from './limits/memory.ts'
import { RedisError } from './limits/redis-faults.ts'
import { type Metrics, openMetrics } from './metrics/metrics.ts'
import { createAdmission } from './mint/admission.ts'
import { createMint, type Mint } from './mint/mint.ts'
import { createTurnMint, type TurnMint } from './mint/turn.ts'
import type { Seams } from './seams.ts'
import { holdIfFree } from './store/hold.ts'
import { openUsage } from './usage/open-usage.ts'
import type { Usage } from './usage/usage.ts'

/** What the server works with. */
export interface Services {
  readonly follower: Follower
  readonly keyring: Keyring
  readonly mint: Mint
  readonly turnMint: TurnMint
  readonly gate: Gate
  readonly revocations: Revocations
  readonly revoke: Revoke
  readonly journal: Journal
  readonly recentIssuances: RecentIssuances
  readonly authFailures: AuthFailures
  /** Where limits are counted; `undefined` when this process is to count alone. */
  readonly sharing: Sharing | undefined
  readonly lastUses: LastUses
  readonly metrics: Metrics
  readonly usage: Usage
  readonly alerts: Alerts
  /** Stops following the store, writes what was noted for it, and ends the journal: nothing may be minted after that. */
  stop(): Promise<void>
}

/** How often a process looks for changes: often enough that one arrives within a second even if a look is late. */
const FOLLOW_EVERY_MS = 200

/** How often last uses are written and ending keys are looked for. */
const MINUTE_MS = 60_000

/** Opens the gate alone, over what the store holds at this moment: for one question of the command line's. */
export async function openGate(
  { staleKeysSeconds }: Config,
  { store, sealer }: Installation,
  seams: Seams,
): Promise<Gate> {
  const follower = createFollower({ store, seams, staleKeysSeconds })
  const keyring = createKeyring({ store, follower, sealer, seams, adminKeys: [] })
  const revocations = createRevocations({ follower, seams })
  await follower.refresh()
  return createGate({ keyring, revocations, noteUse: () => undefined, seams })
}

/**
 * Builds what the server needs and loads every key.
 *
 * @param stream standard output, for records that go there
 * @throws StartError when the Redis that is configured cannot be used
 */
export async function startServices(
  config: Config,
  { store, sealer }: Installation,
  seams: Seams,
  log: Logger,
  stream: RecordStream,
): Promise<Services> {
  const { staleKeysSeconds, adminKeys, limits, publicUrl } = config
  const follower = createFollower({ store, seams, staleKeysSeconds })
  const keyring = createKeyring({ store, follower, sealer, seams, adminKeys })
  const revocations = createRevocations({ follower, seams })
  const changeHeads = createChangeHeads(follower)
  await follower.refresh()
  const { counting, over, close: closeMetrics } = openMetrics(seams)
  const { limiter, sharing, closeLimiter } = await openLimiter(config, seams, log)
  const admission = createAdmission({ limiter: counting.limiter(limiter, sharing), limits })
  const { now } = seams
  const { usage, journal: written } = await openUsage({
    openJournal: (onBatch) =>
      openJournal(config, seams, log, stream, (batch) => {
        onBatch(batch)
        counting.batch(batch)
      }),
    folder: config.journal === 'file' ? journalFolder(config.dataDir) : undefined,
    keepDays: config.usageKeepDays,
    takeHold: holdIfFree,
    store,
    secret: sealer.derive('subjects of usage'),
    seams,
    log,
  })
  const journal = warnOfLargeTokens(written, log)
  const alerts = openAlerts({ store, journal, target: config.alertWebhook, seams, log })
  const lastUses = createLastUses({ store, now, log })
  const unfollow = follow(follower, log)
  const noteIssued = counting.issued
  usage.start()
  alerts.start()
  const rest = everyMinute(
    [
      createEndingKeys({ keyring, now, log }).warn,
      tellHeads(journal, log),
      tellChangeHeads(changeHeads, log),
    ],
    lastUses.flush,
  )
  return {
    follower,
    keyring,
    mint: createMint({ keyring, revocations, admission, journal, noteIssued, seams, publicUrl }),
    gate: counting.gate(createGate({ keyring, revocations, noteUse: lastUses.note, seams })),
    revocations,
    revoke: createRevoke({ store, follower, seams }),
    journal,
    recentIssuances: createRecentIssuances({ folder: journalFolder(config.dataDir) }),
    turnMint: createTurnMint({ keyring, admission, journal, noteIssued, seams }),
    authFailures: counting.authFailures(createAuthFailures(limits.authFailures, seams)),
    sharing,
    lastUses,
    metrics: over({ keyring, journal, changeHeads, now, sharing, follower, revocations, usage, alerts }),
    usage,
    alerts,
    async stop() {
      unfollow()
      rest()
      closeMetrics()
      closeLimiter()
      // Side by side: a database that is away holds both up, and the process has no more than some seconds.
      await Promise.all([lastUses.flush(), journal.close().then(usage.close), alerts.stop()])
    },
  }
}

// A weaker record than the default is the operator's choice, and is told at every start.
async function openJournal(
  config: Config,
  seams: Seams,
  log: Logger,
  stream: RecordStream,
  onBatch: (batch: WrittenBatch) => void,
): Promise<Journal> {
  switch (config.journal) {
    case 'file': {
      const { dataDir, journalKeepDays: keepDays } = config
      return await openFileJournal({
        folder: journalFolder(dataDir),
        keepDays,
        takeHold: holdIfFree,
        seams,
        log,
        onBatch,
      })
    }
    case 'stdout':
      log.warn('records of tokens go to standard output: nobody waits until they are safe there')
      return createStdoutJournal(stream, seams)
    case 'off':
      log.warn('nothing records which tokens are issued')
      return noJournal
    default:
      return config.journal satisfies never
  }
}

interface OpenLimiter {
  readonly limiter: Limiter
  readonly sharing: Sharing | undefined
  closeLimiter(): void
}

async function openLimiter({ redisUrl }: Config, seams: Seams, log: Logger): Promise<OpenLimiter> {
  if (redisUrl === undefined) {
    return { limiter: createMemoryLimiter(seams), sharing: undefined, closeLimiter: () => undefined }
  }
  // Its client is loaded where it is wanted, and by nobody else.
  const { openSharedLimiter } = await import('./limits/open-shared.ts')
  try {
    const shared = await openSharedLimiter({ redisUrl, seams, log })
    return { limiter: shared, sharing: shared, closeLimiter: shared.close }
  } catch (error) {
    throw error instanceof RedisError ? new StartError(error.message, { cause: error }) : error
  }
}

// Follows the store until it is stopped. A failed look is told once, and so is the next one that succeeds.
function follow(follower: Follower, log: Logger): () => void {
  let failing = false
  let looking = false
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    follower
      .refresh()
      .then(
        () => {
          if (failing) log.info('keys can be read again')
          failing = false
        },
        (err: unknown) => {
          if (!failing) log.error({ err }, 'keys cannot be read')
          failing = true
        },
      )
      .finally(() => {
        looking = false
      })
  }, FOLLOW_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

// Tells now and every minute, and writes every minute. The one cannot fail, the other tells of it by itself.
function everyMinute(tell: readonly (() => void)[], flush: () => Promise<void>): () => void {
  for (const one of tell) one()
  const timer = setInterval(() => {
    for (const one of tell) one()
    void flush()
  }, MINUTE_MS)
  timer.unref()
  return () => clearInterval(timer)
}
