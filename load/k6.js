// A load for your own Jeton, with k6. The README's "Load test it" says how to run it, and why these thresholds.
import { check, sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'

const { JETON_URL = 'http://127.0.0.1:3000', JETON_SECRET_KEY, SCENARIO = 'smoke' } = __ENV
/** Tokens a second. */
const RATE = wholeNumber('RATE', 200, 10_000)
/** How long `steady` takes. */
const SECONDS = wholeNumber('SECONDS', 60, 3_600)
/** What one subject may have within a minute (RATE_LIMIT_SUBJECT). */
const SUBJECT_LIMIT = wholeNumber('SUBJECT_LIMIT', 10, 1_000)
const SUBJECTS = 20

const tokens = new Counter('tokens')

const constant = (rate, seconds) => ({
  executor: 'constant-arrival-rate',
  exec: 'mint',
  rate,
  duration: `${seconds}s`,
  preAllocatedVUs: 64,
  maxVUs: 512,
})

const SCENARIOS = {
  // Ten a second, which fits under the default limits: does it work at all?
  smoke: {
    scenario: constant(10, 10),
    thresholds: { http_req_duration: ['p(99)<250'] },
  },
  // The same rate for a minute, whatever the answers take.
  steady: {
    scenario: constant(RATE, SECONDS),
    thresholds: { http_req_duration: ['p(99)<100'], dropped_iterations: ['count<1'] },
  },
  // Five times as much within five seconds, for twenty, and back.
  spike: {
    scenario: {
      executor: 'ramping-arrival-rate',
      exec: 'mint',
      startRate: RATE,
      preAllocatedVUs: 128,
      maxVUs: 1_024,
      stages: [
        { target: RATE, duration: '10s' },
        { target: RATE * 5, duration: '5s' },
        { target: RATE * 5, duration: '20s' },
        { target: RATE, duration: '5s' },
        { target: RATE, duration: '10s' },
      ],
    },
    thresholds: { http_req_duration: ['p(99)<500'] },
  },
  // Twenty subjects ask three times as often as they may, within a minute: each gets its limit and not one more.
  subject: {
    scenario: {
      executor: 'per-vu-iterations',
      exec: 'insist',
      vus: SUBJECTS,
      iterations: SUBJECT_LIMIT * 3,
      maxDuration: '50s',
    },
    thresholds: { tokens: [`count==${SUBJECTS * SUBJECT_LIMIT}`], http_req_duration: ['p(99)<250'] },
    limited: true,
  },
}

const chosen = SCENARIOS[SCENARIO]
if (chosen === undefined) throw new Error(`SCENARIO must be one of ${Object.keys(SCENARIOS).join(', ')}`)
if (!/^sk_/.test(JETON_SECRET_KEY ?? '')) throw new Error('JETON_SECRET_KEY must be a secret key')

export const options = {
  scenarios: { [SCENARIO]: chosen.scenario },
  thresholds: { checks: ['rate==1'], http_req_failed: ['rate==0'], ...chosen.thresholds },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
}

http.setResponseCallback(http.expectedStatuses(...(chosen.limited ? [200, 429] : [200])))

/** Makes this run's subjects others than the last one's, whose limits may still hold. */
export function setup() {
  return { run: Date.now().toString(36) }
}

/** A token for a subject of its own. */
export function mint({ run }) {
  const answer = ask(`${run}-${exec.scenario.iterationInTest}`)
  check(answer, { 'is a token': isToken })
  if (answer.status === 200) tokens.add(1)
}

/** A token for the same subject again and again. */
export function insist({ run }) {
  const answer = ask(`${run}-${exec.vu.idInTest}`)
  check(answer, { 'is a token, or says when to come again': (it) => isToken(it) || isLimited(it) })
  if (answer.status === 200) tokens.add(1)
  sleep(0.05)
}

function ask(userId) {
  const headers = { Authorization: `Bearer ${JETON_SECRET_KEY}`, 'Content-Type': 'application/json' }
  return http.post(`${JETON_URL}/auth/token`, JSON.stringify({ userId, name: 'Load' }), {
    headers,
    timeout: '10s',
  })
}

function isToken({ status, body }) {
  return status === 200 && /"token":"[\w-]+\.[\w-]+\.[\w-]+"/.test(body)
}

function isLimited({ status, headers }) {
  return status === 429 && /^[1-9]\d*$/.test(headers['Retry-After'] ?? '')
}

function wholeNumber(name, otherwise, most) {
  const value = Number(__ENV[name] ?? otherwise)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new Error(`${name} must be a whole number from 1 to ${most}`)
}
