import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { answersBinding } from './turn-client.ts'

const PROGRAM = 'turnserver'
const RELAY_PORTS = 16

/** Whether the TURN server of the Debian package `coturn` is here. */
export function hasCoturn(): boolean {
  return spawnSync(PROGRAM, ['-h']).error === undefined
}

/** Starts a coturn that shares `secret` with Jeton, waits until it answers, and gives its URL. */
export async function startCoturn(t: TestContext, secret: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-coturn-'))
  const port = await freePort()
  const relayPort = Math.min(await freePort(), 65_536 - RELAY_PORTS)
  const options = [
    // No configuration file: the machine's own would be read otherwise.
    '-n',
    '--use-auth-secret',
    `--static-auth-secret=${secret}`,
    '--realm=jeton.test',
    '--listening-ip=127.0.0.1',
    `--listening-port=${port}`,
    '--relay-ip=127.0.0.1',
    `--min-port=${relayPort}`,
    `--max-port=${relayPort + RELAY_PORTS - 1}`,
    '--relay-threads=1',
    '--no-tcp',
    '--no-tls',
    '--no-dtls',
    '--no-cli',
    '--log-file=stdout',
    `--pidfile=${join(folder, 'pid')}`,
    `--userdb=${join(folder, 'users')}`,
  ]
  const env = { PATH: process.env.PATH }
  const child = spawn(PROGRAM, options, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
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
    // Not before its end: it may be writing there still.
    await rm(folder, { recursive: true, force: true })
  })
  await once(child, 'spawn')
  const gone = ended.then(() => Promise.reject(new Error(`coturn ended:\n${output}`)))
  await Promise.race([answersBinding(port), gone])
  return `turn:127.0.0.1:${port}?transport=udp`
}

async function freePort(): Promise<number> {
  await using socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket.address().port
}
