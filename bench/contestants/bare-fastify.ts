// The limit that Jeton is compared with: the same Fastify, one POST route that reads JSON and answers with a text of BYTES.
import { fastify } from 'fastify'

const app = fastify()
const answer = 'x'.repeat(Number(process.env.BYTES ?? 0))
app.post('/', async () => answer)
const url = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) })
process.stdout.write(`"Server listening at ${url}"\n`)
process.once('SIGINT', () => process.exit())
