import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ADMIN, setup } from '../helpers/admin.ts'

async function setupLevels(t: TestContext, env: Record<string, string> = {}) {
  const service = await setup(t, env)
  const change = async (level: unknown, key = ADMIN) => {
    const reply = await service.server.inject({
      method: 'PUT',
      url: '/v1/log-level',
      headers: { authorization: `Bearer ${key}` },
      payload: { level },
    })
    return [reply.statusCode, reply.json().level ?? reply.json().error]
  }
  const messages = () => service.lines.map(({ msg }) => msg)
  return { ...service, change, messages }
}

describe('the level of the log', () => {
  it('is shown and changed with the admin key, and is what the log then follows', async (t) => {
    const { call, change, post, lines } = await setupLevels(t, { LOG_LEVEL: 'info' })
    const refused = () => lines.filter(({ msg }) => msg === 'request refused').length
    await post('/v1/tokens', {})
    assert.equal(refused(), 0)
    assert.deepEqual(await change('debug'), [200, 'debug'])
    await post('/v1/tokens', {})
    assert.equal(refused(), 1)
    assert.deepEqual((await call('GET', '/v1/log-level')).body, { level: 'debug', configured: 'info' })
    assert.deepEqual(await change('info'), [200, 'info'])
    await post('/v1/tokens', {})
    assert.equal(refused(), 1)
  })

  it('is left to the admin key, and to levels that there are', async (t) => {
    const { change, call, made } = await setupLevels(t)
    assert.deepEqual(await change('trace', made.secretKey), [403, 'key_kind_wrong'])
    for (const level of ['loud', '', null, 10]) assert.deepEqual(await change(level), [400, 'body_invalid'])
    assert.equal((await call('GET', '/v1/log-level')).body.level, 'debug')
  })

  for (const [from, to, level] of [
    ['info', 'debug', 'info'],
    ['info', 'silent', 'info'],
    ['silent', 'error', 'error'],
    ['error', 'warn', 'warn'],
    ['trace', 'fatal', 'info'],
  ] as const) {
    it(`is told in the log when it changes from ${from} to ${to}`, async (t) => {
      const { change, lines } = await setupLevels(t, { LOG_LEVEL: from })
      await change(to)
      const line = lines.find(({ msg }) => msg === 'log level changed')
      assert.deepEqual([line?.from, line?.to, line?.level], [from, to, level])
      assert.equal(typeof line?.requestId, 'string')
    })
  }

  it('is audited like every other change', async (t) => {
    const { change, lines } = await setupLevels(t)
    await change('info')
    const line = lines.find(({ msg }) => msg === 'changed with the admin key')
    assert.deepEqual([line?.method, line?.route], ['PUT', '/v1/log-level'])
  })

  it('is one of those that are named when it is refused', async (t) => {
    const { server } = await setupLevels(t)
    const headers = { authorization: `Bearer ${ADMIN}` }
    const payload = { level: 'loud' }
    const reply = await server.inject({ method: 'PUT', url: '/v1/log-level', headers, payload })
    assert.match(reply.json().message, /^level must be one of \w+, \w+, /)
  })

  it('is not called changed when it is only asked for', async (t) => {
    const { server, lines } = await setupLevels(t)
    const headers = { authorization: `Bearer ${ADMIN}` }
    for (const method of ['GET', 'HEAD'] as const) {
      assert.equal((await server.inject({ method, url: '/v1/log-level', headers })).statusCode, 200)
    }
    assert.equal(
      lines.some(({ msg }) => msg === 'changed with the admin key'),
      false,
    )
  })

  it('silences no record of an issued token', async (t) => {
    const { change, post, records, lines } = await setupLevels(t, { JOURNAL: 'stdout' })
    await change('silent')
    const before = { lines: lines.length, records: records.length }
    await post('/v1/client/tokens', {})
    assert.deepEqual([lines.length, records.length], [before.lines, before.records + 1])
  })
})
