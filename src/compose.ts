import type { Logger } from 'pino'
import { type Config, StartError } from './config.ts'
import { createGate, type Gate } from './gate/gate.ts'
import { createRevocations, type Revocations } from './gate/revocations.ts'
import { createRevoke, type Revoke } from './gate/revoke.ts'
import type { Installation } from './installation.ts'
import { openFileJournal } from './journal/file-journal.ts'
import { journalFolder } from './journal/folder.ts'
import { tellHeads } from './journal/head-log.ts'
import type { Journal } from './journal/journal.ts'
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
import { createMetrics, type Metrics } from './metrics/metrics.ts'
import { createAdmission } from './mint/admission.ts'
import { createMint, type Mint } from './mint/mint.ts'
import { createTurnMint, type TurnMint } from './mint/turn.ts'
import type { Seams } from './seams.ts'
import { holdIfFree } from './store/hold.ts'

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
  await follower.refresh()
  const { limiter, sharing, closeLimiter } = await openLimiter(config, seams, log)
  const admission = createAdmission({ limiter, limits })
  const { now } = seams
  const journal = warnOfLargeTokens(await openJournal(config, seams, log, stream), log)
  const lastUses = createLastUses({ store, now, log })
  const unfollow = follow(follower, log)
  const rest = everyMinute(
    [createEndingKeys({ keyring, now, log }).warn, tellHeads(journal, log)],
    lastUses.flush,
  )
  return {
    follower,
    keyring,
    mint: createMint({ keyring, revocations, admission, journal, seams, publicUrl }),
    gate: createGate({ keyring, revocations, noteUse: lastUses.note, seams }),
    revocations,
    revoke: createRevoke({ store, follower, seams }),
    journal,
    recentIssuances: createRecentIssuances({ folder: journalFolder(config.dataDir) }),
    turnMint: createTurnMint({ keyring, admission, journal, seams }),
    authFailures: createAuthFailures(limits.authFailures, seams),
    sharing,
    lastUses,
    metrics: createMetrics({ keyring, journal, now, sharing }),
    async stop() {
      unfollow()
      rest()
      closeLimiter()
      await lastUses.flush()
      await journal.close()
    },
  }
}

// A weaker record than the default is the operator's choice, and is told at every start.
async function openJournal(
  config: Config,
  seams: Seams,
  log: Logger,
  stream: RecordStream,
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
