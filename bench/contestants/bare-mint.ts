// The least that a service which mints can do: it knows its caller's key, checks the body, and signs the claims with HS256.
// No limit, no record, no log, no metrics, one key that never changes.
import { createHmac, createSecretKey, hash } from 'node:crypto'
import { fastify } from 'fastify'
import { z } from 'zod'

const { PORT = '0', SECRET = '', SECRET_KEY = '' } = process.env
const signingKey = createSecretKey(Buffer.from(SECRET))
const callers = new Set([hash('sha256', SECRET_KEY)])
const body = z.strictObject({ userId: z.string().min(1).max(255), name: z.string().min(1).max(255) })
const head = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT' })).toString('base64url')

const app = fastify()
app.post('/auth/token', async (request, reply) => {
  const [scheme, presented = ''] = request.headers.authorization?.split(' ') ?? []
  if (scheme !== 'Bearer' || !callers.has(hash('sha256', presented))) return reply.code(401).send()
  const asked = body.safeParse(request.body)
  if (!asked.success) return reply.code(400).send()
  const { userId, name } = asked.data
  const iat = Math.floor(Date.now() / 1000)
  const claims = JSON.stringify({ iss: 'bench', aud: 'rt', sub: userId, name, iat, exp: iat + 3_600 })
  const input = `${head}.${Buffer.from(claims).toString('base64url')}`
  return { token: `${input}.${createHmac('sha256', signingKey).update(input).digest('base64url')}` }
})
const url = await app.listen({ host: '127.0.0.1', port: Number(PORT) })
process.stdout.write(`"Server listening at ${url}"\n`)
process.once('SIGINT', () => process.exit())
