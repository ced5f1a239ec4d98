import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { isInstalled, onCore } from './cores.ts'

const run = promisify(execFile)

/** Stands for a number in a body: another one in every request of a bench, so that no two are for the same subject. */
export const NUMBER = '#########'

/** POST requests, and how hard they are asked. */
export interface Load {
  readonly path: string
  /** What stands in `Authorization`: one after another. */
  readonly authorizations: readonly string[]
  readonly body: string
  readonly contentType?: string
  readonly connections: number
  readonly seconds: number
  /** How many requests a second are asked for, at moments that know nothing of each other; as many as go if left out. */
  readonly rate?: number
}

/** What a load came to. */
export interface Answered {
  readonly count: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** The bodies, if they were to be kept. All of them are of status 200. */
  readonly bodies: readonly string[]
}

/** An answer that is not as it must be: what was measured counts for nothing. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer'
}

const resultSchema = z.object({
  count: z.int(),
  seconds: z.number(),
  failed: z.int(),
  p50Ms: z.number(),
  p99Ms: z.number(),
})

/** An answer that takes longer on a busy machine is no wrong one. */
const TIMEOUT_SECONDS = 30

let lastNumber = 0

/** What asks: wrk where it is installed, since it takes a tenth of what autocannon does. */
export const loadProgram = isInstalled('wrk') ? 'wrk' : 'autocannon'

/**
 * Asks over kept-alive connections from a core of its own, each connection with one request at a time. At a rate, time
 * counts from when a request was due; without one, from when it was sent.
 *
 * @param keepBodies whether every answer is to be looked at
 * @throws WrongAnswer when one is not 200, or did not come
 */
export async function ask(url: string, load: Load, keepBodies: boolean): Promise<Answered> {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-load-'))
  const answersFile = keepBodies ? join(folder, 'answers') : ''
  const keysFile = join(folder, 'keys')
  try {
    await writeFile(keysFile, `${load.authorizations.join('\n')}\n`)
    const { stdout } = await start(url, load, { answersFile, keysFile })
    const said = /^RESULT (.*)$/m.exec(stdout)?.[1] ?? ''
    const { failed, ...result } = resultSchema.parse(JSON.parse(said))
    lastNumber += result.count + load.connections
    if (failed > 0 || result.count === 0) {
      throw new WrongAnswer(`${url}${load.path}: ${failed} requests failed, ${result.count} were answered`)
    }
    const bodies = keepBodies ? bodiesOf(await readFile(answersFile, 'utf8')) : []
    // What was under way at the end may be missing.
    if (keepBodies && bodies.length < result.count - load.connections) {
      throw new WrongAnswer(`${bodies.length} of ${result.count} answers were kept`)
    }
    return { ...result, bodies }
  } finally {
    await rm(folder, { recursive: true })
  }
}

function start(
  url: string,
  load: Load,
  { answersFile, keysFile }: { answersFile: string; keysFile: string },
) {
  const { path, body, contentType = 'application/json', connections, seconds, rate } = load
  const target = `${url}${path}`
  if (rate === undefined && loadProgram === 'wrk') {
    const script = join(import.meta.dirname, 'load/wrk.lua')
    const how = ['-t', '1', '-c', `${connections}`, '--timeout', `${TIMEOUT_SECONDS}s`, '-d', `${seconds}s`]
    const what = [body, contentType, `${lastNumber}`, answersFile, keysFile]
    return run(...onCore('load', 'wrk', [...how, '-s', script, target, '--', ...what]))
  }
  const program = join(import.meta.dirname, rate === undefined ? 'load/autocannon.js' : 'load/steady.js')
  const timing = { connections, seconds, rate, timeout: TIMEOUT_SECONDS, firstNumber: lastNumber }
  const asked = { url: target, body, contentType, ...timing, answersFile, keysFile }
  return run(...onCore('load', process.execPath, [program, JSON.stringify(asked)]))
}

// A line is the status and the body. The last line may be cut where the load was.
function bodiesOf(answers: string): string[] {
  const lines = answers.split('\n').slice(0, -1)
  const wrong = lines.find((line) => !line.startsWith('200 '))
  if (wrong !== undefined) throw new WrongAnswer(`Not what was wanted: ${wrong}`)
  return lines.map((line) => line.slice('200 '.length))
}
