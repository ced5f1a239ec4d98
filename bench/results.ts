import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type Arena, NAMES, type Name } from './contestants.ts'
import { arePinned } from './cores.ts'
import type { Calm } from './half-load.ts'
import { loadProgram } from './load.ts'
import { figures, type Measured, type Rounds } from './rounds.ts'
import { median, ratiosOf, spread } from './table.ts'

type Sides = ReadonlyMap<Name, Rounds>

/** Something that was to be reached, and what was. */
export interface Judgement {
  readonly promise: string
  readonly found: string
  /** `undefined` for what nothing was promised about: it is there to compare with. */
  readonly isKept: boolean | undefined
}

const HEAD = ['', 'answers/s', '× Fastify', 'processor µs', '× Fastify', 'p50 ms', 'p99 ms'] as const

/** A table: a line for each contestant, medians of all rounds, and the medians of the rounds' ratios to bare Fastify. */
export function linesOf(sides: Sides): string[][] {
  const limit = sides.get('fastify')
  return [
    [...HEAD],
    ...[...sides.values()].map((side) => [
      side.name,
      middle(side, 'rate').toFixed(),
      limit === undefined ? '' : median(ratios(limit, side, 'rate')).toFixed(3),
      middle(side, 'cost').toFixed(1),
      limit === undefined ? '' : median(ratios(side, limit, 'cost')).toFixed(3),
      middle(side, 'p50Ms').toFixed(2),
      middle(side, 'p99Ms').toFixed(2),
    ]),
  ]
}

/** What is to be reached: by how many times as much as the other in the middle of all rounds; `undefined`: nothing. */
const RATIOS: readonly (readonly [Name, Name, number | undefined])[] = [
  ['hs256', 'fastify', 0.25],
  ['hs256', 'express', 1.9],
  // What was promised was measured as 0.28 of express + jsonwebtoken: the one that signs by RS256.
  ['hs256', 'oidc', 6.5],
  ['hs256', 'oidcHs256', undefined],
  ['eddsa', 'fastify', 0.15],
]

const MOST_P99_MS = 5

/** Compares with what is to be reached. */
export function judgementOf(sides: Sides, calm: readonly Calm[]): Judgement[] {
  return [
    ...RATIOS.flatMap(([name, other, least]) => {
      const [side, than] = [sides.get(name), sides.get(other)]
      if (side === undefined || than === undefined) return []
      const found = ratios(than, side, 'rate')
      const costs = ratios(side, than, 'cost')
      return {
        promise: `${NAMES[name]}: ${least === undefined ? '' : `at least ${least} `}× ${NAMES[other]}`,
        found: `${median(found).toFixed(3)} (${spread(found, 3)}); by processor time ${median(costs).toFixed(3)} (${spread(costs, 3)})`,
        isKept: least === undefined ? undefined : median(found) >= least,
      }
    }),
    ...calm.map(({ name, rate, p50Ms, p99Ms, p99sMs, stolen }) => {
      const isPromised = name === NAMES.hs256 || name === NAMES.eddsa
      return {
        promise: `${name}: p99 at half of its highest load${isPromised ? ` at most ${MOST_P99_MS} ms` : ''}`,
        found: `${p99Ms.toFixed(2)} ms (${spread(p99sMs, 2)}), p50 ${p50Ms.toFixed(2)} ms, at ${rate.toFixed()} answers/s; ${(stolen * 100).toFixed(1)} % stolen`,
        isKept: isPromised ? p99Ms <= MOST_P99_MS : undefined,
      }
    }),
  ]
}

/** Writes results.md. */
export async function writeResults(
  sides: Sides,
  judgement: readonly Judgement[],
  { connections, seconds, rounds }: Pick<Arena, 'connections' | 'seconds'> & { readonly rounds: number },
): Promise<void> {
  const [head = [], ...lines] = linesOf(sides)
  const text = `# The mint, measured

Written by \`npm run bench\`, on ${new Date().toISOString().slice(0, 10)}. [notes.md](notes.md) says what was found on the way here.

- Machine: ${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${(totalmem() / 1e9).toFixed()} GB; Linux ${release()}
- Versions: Node ${process.version.slice(1)}, ${versionsOf(sides)}
- Load: ${loadProgram}, ${connections} connections, ${rounds} interleaved rounds of ${seconds} s, each in a process that was started for it and had warmed up; ${arePinned ? 'the servers on one core, the load on another' : 'servers and load on the same cores'}
- At half load: load/steady.js, each server in a process that was started for it, after the warm-up and a few seconds of the same; medians of a few runs, and in brackets the p99 of the fastest and the slowest

Jeton does everything that it does by default, started as \`npm start\` does: it authenticates, limits, keeps a record of each token that is on the disk
before the answer leaves, and logs. Every token of every contestant was verified. "× Fastify" is
the median of the rounds' ratios to a bare Fastify that reads the same body and answers with as many bytes: once by
answers a second, once by processor time (user and system, as the operating system counts it). The load can be the
narrow place for the bare ones, so the second is the steadier one, and the stricter. At half load each request is timed
from when it was due; "stolen" is what part of the cores' time the host gave to other machines meanwhile.

${markdown([head, ...lines])}

## What was to be reached

${markdown([['', 'found', ''], ...judgement.map((one) => [one.promise, one.found, verdictOf(one)])])}
`
  await writeFile(join(import.meta.dirname, 'results.md'), text)
}

function verdictOf({ isKept }: Judgement): string {
  return isKept === undefined ? '' : isKept ? 'kept' : '**missed**'
}

function markdown([head = [], ...lines]: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...lines.map(row)].join(
    '\n',
  )
}

function versionsOf(sides: Sides): string {
  const peers = sides.has('express') ? ['express', 'jsonwebtoken', 'oidc-provider'] : []
  return [
    ...['fastify', 'zod'].map((name) => versionOf('../node_modules', name)),
    ...peers.map((name) => versionOf('node_modules', name)),
  ].join(', ')
}

function versionOf(folder: string, name: string): string {
  const manifest = readFileSync(join(import.meta.dirname, folder, name, 'package.json'), 'utf8')
  return `${name} ${z.object({ version: z.string() }).parse(JSON.parse(manifest)).version}`
}

function middle(side: Rounds, which: keyof Measured): number {
  return median(figures(side, which))
}

function ratios(first: Rounds, second: Rounds, which: 'rate' | 'cost'): number[] {
  return ratiosOf(figures(first, which), figures(second, which))
}
