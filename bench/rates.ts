// How long tokens take at steady rates, and what they cost: `npm run bench:rates`. docs/operations.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { alone } from './contestants.ts'
import { measure, type Side, warm } from './rounds.ts'
import { printLine } from './table.ts'

const { values: options } = parseArgs({
  options: {
    rates: { type: 'string', default: '500,1000,2000,4000,6000,8000' },
    connections: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '20' },
  },
})

const numbers = z.array(z.coerce.number().positive())
const rates = numbers.parse(options.rates.split(','))
const [connections = 0, seconds = 0] = numbers.parse([options.connections, options.seconds])

const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
try {
  await alone('hs256', { folder, connections, seconds: 2 }, tellRates)
} finally {
  await rm(folder, { recursive: true })
}

async function tellRates(side: Side): Promise<void> {
  await warm(side)
  printLine(['tokens a second, asked', 'had', 'p50', 'p99', 'of the core', 'resident'])
  for (const rate of rates) {
    const load = { ...side.load, seconds, rate }
    const { cost, p50Ms, p99Ms, rate: had } = await measure({ ...side, load }, side.checksAll)
    const { residentMegabytes } = await side.server.memory()
    const share = `${((cost * had) / 10_000).toFixed()} %`
    printLine([
      `${rate}`,
      had.toFixed(),
      `${p50Ms.toFixed(2)} ms`,
      `${p99Ms.toFixed(1)} ms`,
      share,
      `${residentMegabytes.toFixed()} MB`,
    ])
  }
}
