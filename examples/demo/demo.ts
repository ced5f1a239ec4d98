import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareJeton } from './prepare-jeton.ts'
import { type Program, runToEnd, startProgram } from './programs.ts'

/** Starts Jeton, an app's backend and a realtime server, each as a program of its own, and says where the page is. */
async function demo(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-demo-'))
  const programs: Program[] = []
  const stopping = new AbortController()
  // Whatever ends the demo has to end them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stopping.abort())
  try {
    const page = await startAll(folder, programs)
    process.stdout.write(`
The demo is listening at ${page}

Open that in two tabs of a browser, and sign in as someone else in each.
^C ends the demo and removes what it has made.

`)
    await Promise.race([aborted(stopping.signal), ...programs.map(endUnexpected)])
  } finally {
    // The last one started is the first to go, so that nobody misses anyone.
    for (const program of programs.reverse()) await program.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function startAll(folder: string, programs: Program[]): Promise<string> {
  const { stdout } = await runToEnd('src/cli/jeton.ts', ['secrets', 'create'])
  const [, adminKey = ''] = /^ADMIN_KEY=(.+)$/m.exec(stdout) ?? []
  const jeton = await start('src/main.ts', { DATA_DIR: join(folder, 'data'), ADMIN_KEY: adminKey })
  const { environmentId, mintKey, verifyKey } = await prepareJeton(jeton, adminKey)
  const realtime = await start('examples/realtime-server/main.ts', {
    JETON_URL: jeton,
    JETON_VERIFY_KEY: verifyKey,
    JETON_ENVIRONMENT_ID: environmentId,
  })
  return await start('examples/backend/main.ts', {
    JETON_URL: jeton,
    JETON_SECRET_KEY: mintKey,
    REALTIME_URL: realtime,
  })

  async function start(file: string, env: Record<string, string>): Promise<string> {
    const program = startProgram(file, { PORT: '0', ...env })
    programs.push(program)
    return await program.url
  }
}

async function endUnexpected(program: Program): Promise<never> {
  throw new Error(`${program.file} has ended by itself:\n${await program.ended}`)
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
}

try {
  await demo()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
