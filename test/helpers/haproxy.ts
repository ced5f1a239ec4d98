import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

const PROGRAM = 'haproxy'
const ROOT = join(import.meta.dirname, '../..')
const FIXTURES = join(ROOT, 'test/fixtures')

/** A HAProxy with the configuration of docker-compose.yml, and the certificate of the fixtures. */
export interface Proxy {
  readonly port: number
  /** Where it says whether any replica is ready. */
  readonly healthUrl: string
  /** What it has logged so far. */
  log(): string
}

/** Whether the Debian package `haproxy` is here. */
export function hasHaproxy(): boolean {
  return spawnSync(PROGRAM, ['-v']).error === undefined
}

/** Starts HAProxy in front of three replicas, and waits until it listens. */
export async function startHaproxy(t: TestContext, replicas: readonly [URL, URL, URL]): Promise<Proxy> {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-haproxy-'))
  const certificate = join(folder, 'tls.crt')
  await copyFile(join(FIXTURES, 'localhost-cert.pem'), certificate)
  await copyFile(join(FIXTURES, 'localhost-key.pem'), `${certificate}.key`)
  const [port, healthPort] = [await freePort(), await freePort()]
  const env = {
    PATH: process.env.PATH,
    BIND: `127.0.0.1:${port}`,
    HEALTH_BIND: `127.0.0.1:${healthPort}`,
    CERTIFICATE: certificate,
    REPLICA_1: replicas[0].host,
    REPLICA_2: replicas[1].host,
    REPLICA_3: replicas[2].host,
  }
  // -db stays in the foreground.
  const child = spawn(PROGRAM, ['-db', '-f', join(ROOT, 'deploy/compose/haproxy.cfg')], { env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  })
  await once(child, 'spawn')
  const healthUrl = `http://127.0.0.1:${healthPort}/`
  const gone = ended.then(() => Promise.reject(new Error(`HAProxy ended:\n${output}`)))
  await Promise.race([isHealthy(healthUrl), gone])
  return { port, healthUrl, log: () => output }
}

// Bounded by the time that a test has.
async function isHealthy(url: string): Promise<void> {
  for (;;) {
    try {
      if ((await fetch(url)).ok) return
    } catch {
      // It does not listen yet.
    }
    await pause(20)
  }
}

async function freePort(): Promise<number> {
  await using server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
