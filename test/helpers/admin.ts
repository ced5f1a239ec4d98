import type { TestContext } from 'node:test'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { build } from './app.ts'

export const ADMIN = writeKey('admin', undefined, systemSeams.random(32))
export const OTHER_ADMIN = writeKey('admin', undefined, systemSeams.random(32))

/** A service, and calls to its admin API. */
export async function setup(t: TestContext, env: Record<string, string> = {}) {
  const service = await build(t, { ADMIN_KEY: `${ADMIN},${OTHER_ADMIN}`, ...env })
  const call = async (
    method: 'GET' | 'POST' | 'PATCH',
    url: string,
    body?: object,
    headers: Record<string, string> = {},
  ) => {
    const authorization = `Bearer ${ADMIN}`
    const payload = body === undefined ? {} : { payload: body }
    const reply = await service.server.inject({
      method,
      url,
      headers: { authorization, ...headers },
      ...payload,
    })
    return { status: reply.statusCode, body: reply.json() }
  }
  const mintWith = async (key: string) => {
    const reply = await service.post('/v1/client/tokens', {}, { 'x-api-key': key })
    return reply.statusCode === 200 ? 200 : reply.json().error
  }
  return { ...service, call, mintWith, id: service.made.environment.id }
}
