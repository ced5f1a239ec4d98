import { buildBackend } from './backend.ts'
import { createJeton } from './jeton.ts'
import { createSessions, newSessionSecret } from './session.ts'

const {
  HOST = '127.0.0.1',
  PORT = '8080',
  JETON_URL = 'http://127.0.0.1:3000',
  JETON_SECRET_KEY,
  REALTIME_URL = 'ws://127.0.0.1:8081',
} = process.env
if (JETON_SECRET_KEY === undefined) {
  process.stderr.write('JETON_SECRET_KEY is missing: see the README beside this file for what to grant it.\n')
  process.exit(1)
}

const backend = await buildBackend({
  jeton: createJeton({ url: JETON_URL, secretKey: JETON_SECRET_KEY }),
  sessions: createSessions({ secret: newSessionSecret(), now: Date.now }),
  realtimeUrl: REALTIME_URL,
  log: (event, about) => process.stdout.write(`${JSON.stringify({ event, ...about })}\n`),
})
const url = await backend.listen({ host: HOST, port: Number(PORT) })
process.stdout.write(`Backend listening at ${url}\n`)

// A second signal does not wait.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => backend.close())
