// A load at a steady rate: requests at moments that know nothing of each other, whatever became of those before. All
// connections are open before the first one, and each request is timed from when it was due, so that one which had to wait
// for a free connection is as slow as it is for whoever sent it. Takes what to ask as JSON, and answers as wrk.lua does.
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const PLACE = '#########'
/** What the server does when somebody connects is over by then. */
const REST_MS = 500
/**
 * How long it sleeps between two looks at the clock, and up to 0.1 ms more: no answer is read meanwhile, so each may be
 * told as later than it was. A core that never rests takes the disk's interrupts late on some machines.
 */
const TURN_MS = 0.05

const CLOCK = new Int32Array(new SharedArrayBuffer(4))

const { url, body, contentType, firstNumber, connections, seconds, rate, timeout, answersFile, keysFile } =
  JSON.parse(process.argv[2])
const { hostname, port, pathname } = new URL(url)
const authorizations = readFileSync(keysFile, 'utf8').trim().split('\n')
const answers = answersFile === '' ? undefined : createWriteStream(answersFile)
const [before, after] = body.split(PLACE)

/** When the requests were due for which no connection is free. */
const waiting = []
const free = []
const times = []
let [number, asked, failed] = [firstNumber, 0, 0]

for (let opened = 0; opened < connections; opened += 1) free.push(await open())
await sleep(REST_MS)
const from = performance.now()
await askAtRate()
for (const until = performance.now() + timeout * 1000; times.length + failed < asked; await sleep(10)) {
  if (performance.now() > until) failed = asked - times.length
}
const elapsed = (performance.now() - from) / 1000
if (answers !== undefined) {
  answers.end()
  await once(answers, 'finish')
}
times.sort((a, b) => a - b)
const at = (part) => times[Math.floor(times.length * part)] ?? 0
const result = { count: times.length, seconds: elapsed, failed, p50Ms: at(0.5), p99Ms: at(0.99) }
process.stdout.write(`\nRESULT ${JSON.stringify(result)}\n`, () => process.exit())

function askAtRate() {
  return new Promise((resolve) => {
    let due = 0
    turn()

    function turn() {
      for (; due <= performance.now() - from; due += (-Math.log(1 - Math.random()) / rate) * 1000) {
        if (due >= seconds * 1000) return resolve()
        asked += 1
        // The one that has rested longest, so that none rests until the server closes it.
        const connection = free.shift()
        if (connection === undefined) waiting.push(from + due)
        else connection.ask(from + due)
      }
      setImmediate(turn)
      // The one way to sleep for less than a millisecond.
      Atomics.wait(CLOCK, 0, 0, TURN_MS)
    }
  })
}

async function open() {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  let [text, due] = ['', 0]
  const connection = {
    ask(at) {
      due = at
      socket.write(nextRequest())
    },
  }
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (free.includes(connection)) free.splice(free.indexOf(connection), 1)
    // Its request goes with it.
    else failed += 1
  })
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
    const answer = answerOf(text)
    if (answer === undefined) return
    text = ''
    answers?.write(`${answer.status} ${answer.body}\n`)
    if (answer.status === 200) times.push(performance.now() - due)
    else failed += 1
    const next = waiting.shift()
    if (next === undefined) free.push(connection)
    else connection.ask(next)
  })
  return connection
}

function nextRequest() {
  number += 1
  const authorization = authorizations[number % authorizations.length]
  const text = after === undefined ? body : `${before}${String(number).padStart(PLACE.length, '0')}${after}`
  return `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: ${authorization}\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

/** What has come is one answer at most, since one request is under way. */
function answerOf(text) {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
  if (length === undefined) throw new Error(`An answer without a length: ${text}`)
  const rest = text.slice(end + 4)
  return rest.length < Number(length) ? undefined : { status: Number(text.slice(9, 12)), body: rest }
}
