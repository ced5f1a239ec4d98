// The limit of Node itself: reads a body of JSON and answers with a text of BYTES.
import { createServer } from 'node:http'

const answer = 'x'.repeat(Number(process.env.BYTES ?? 0))
const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': answer.length }

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => {
    JSON.parse(body)
    response.writeHead(200, headers).end(answer)
  })
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.stdout.write(`"Server listening at http://127.0.0.1:${server.address().port}"\n`)
})
process.once('SIGINT', () => process.exit())
