// The same load as wrk.lua, where wrk is not installed. Takes what to ask as JSON, and answers as wrk.lua does.
import { createWriteStream, readFileSync } from 'node:fs'
import autocannon from 'autocannon'

const PLACE = '#########'

const asked = JSON.parse(process.argv[2])
const { url, body, contentType, firstNumber, connections, seconds, timeout, answersFile, keysFile } = asked
const authorizations = readFileSync(keysFile, 'utf8').trim().split('\n')
const answers = answersFile === '' ? undefined : createWriteStream(answersFile)
const [before, after] = body.split(PLACE)
let number = firstNumber

const { requests, duration, errors, non2xx, timeouts, latency } = await autocannon({
  url,
  connections,
  duration: seconds,
  timeout,
  requests: [
    {
      method: 'POST',
      setupRequest(request) {
        number += 1
        const authorization = authorizations[number % authorizations.length]
        const headers = { 'content-type': contentType, authorization }
        const numbered =
          after === undefined ? body : `${before}${String(number).padStart(PLACE.length, '0')}${after}`
        return { ...request, headers, body: numbered }
      },
      ...(answers && { onResponse: (status, text) => answers.write(`${status} ${text}\n`) }),
    },
  ],
})
answers?.end()
const failed = errors + non2xx + timeouts
const result = { count: requests.total, seconds: duration, failed, p50Ms: latency.p50, p99Ms: latency.p99 }
process.stdout.write(`\nRESULT ${JSON.stringify(result)}\n`)
