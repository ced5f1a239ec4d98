// What the guides of the hosted products begin with: express and jsonwebtoken, with nothing else. Nobody is authenticated,
// limited or recorded.
import express from 'express'
import jwt from 'jsonwebtoken'

const secret = process.env.SECRET
const app = express()
app.use(express.json())
app.post('/auth/token', (request, response) => {
  const { userId, name } = request.body
  if (!userId || !name) return response.status(400).json({ error: 'userId and name are needed' })
  const token = jwt.sign({ sub: userId, name }, secret, { expiresIn: '1h' })
  response.json({ token })
})
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.stdout.write(`"Server listening at http://127.0.0.1:${server.address().port}"\n`)
})
process.once('SIGINT', () => process.exit())
