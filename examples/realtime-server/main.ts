import { createGateJudge } from './judge-by-gate.ts'
import { createVerifierJudge } from './judge-by-verifier.ts'
import { startRealtimeServer } from './server.ts'

const {
  HOST = '127.0.0.1',
  PORT = '8081',
  JETON_URL = 'http://127.0.0.1:3000',
  JETON_VERIFY_KEY,
  JETON_ENVIRONMENT_ID,
} = process.env
if (JETON_VERIFY_KEY === undefined) {
  process.stderr.write('JETON_VERIFY_KEY is missing: a secret key whose grant is {"uses":["verify"]}.\n')
  process.exit(1)
}

const log = (event: string, about: object) => process.stdout.write(`${JSON.stringify({ event, ...about })}\n`)
const gate = { jetonUrl: JETON_URL, verifyKey: JETON_VERIFY_KEY }
const judge =
  JETON_ENVIRONMENT_ID === undefined
    ? createGateJudge(gate)
    : createVerifierJudge({ ...gate, environmentId: JETON_ENVIRONMENT_ID, now: Date.now, log })
const server = await startRealtimeServer({ judge, host: HOST, port: Number(PORT), now: Date.now, log })
process.stdout.write(`Realtime server listening at ${server.url}\n`)

// A second signal does not wait.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.close())
