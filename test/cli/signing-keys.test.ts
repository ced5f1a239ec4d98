import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { run, temporaryFolder } from '../helpers/process.ts'

async function setup(t: TestContext) {
  const DATA_DIR = await temporaryFolder(t)
  const jeton = (...args: string[]) => run('cli/jeton.ts', args, { DATA_DIR })
  const { environment } = JSON.parse((await jeton('environments', 'create', 'Test', '--json')).stdout)
  const signingKeys = (command: string, ...args: string[]) =>
    jeton('signing-keys', command, '--environment', environment.id, ...args)
  const json = async (command: string, ...args: string[]) => {
    const { code, stdout, stderr } = await signingKeys(command, ...args, '--json')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\{.*\}\n$/)
    return JSON.parse(stdout).signingKeys
  }
  return { jeton, signingKeys, json, id: environment.id }
}

describe('jeton signing-keys', () => {
  it('rotates every own key, or those of one algorithm, and lists where they stand', async (t) => {
    const { signingKeys, json } = await setup(t)
    const made = await json('rotate')
    assert.deepEqual(
      made.map((key: Record<string, unknown>) => [key.algorithm, key.phase, key.changed]),
      [
        ['EdDSA', 'published', true],
        ['HS256', 'published', true],
      ],
    )
    const [again] = await json('rotate', '--alg', 'EdDSA')
    assert.deepEqual([again.kid, again.changed], [made[0].kid, false])
    const listed = await json('list')
    const phases = listed.map(({ phase }: { phase: string }) => phase)
    assert.deepEqual(phases.toSorted(), ['published', 'published', 'signing', 'signing'])
    assert.equal(JSON.stringify(listed).includes('sealed'), false)
    // Unix seconds, as everywhere in what programs read.
    for (const key of listed) assert.ok(Math.abs(key.createdAt - Date.now() / 1000) < 60)
    const [signing] = listed.filter(({ phase }: { phase: string }) => phase === 'signing')
    assert.ok(signing.verifiesUntil > signing.signsUntil && signing.signsUntil > signing.createdAt)
    const { stdout } = await signingKeys('list')
    assert.match(
      stdout,
      /^KID +ALGORITHM +FORMAT +PHASE +CREATED +SIGNS FROM +SIGNS UNTIL +VERIFIES UNTIL +EXPORTED\n/,
    )
    assert.equal(stdout.trimEnd().split('\n').length, 5)
  })

  it('starts a successor at once and goes back, when that is confirmed', async (t) => {
    const { signingKeys, json } = await setup(t)
    const find = async (phase: string) =>
      (await json('list')).find(
        (key: Record<string, unknown>) => key.phase === phase && key.algorithm === 'EdDSA',
      ).kid
    const old = await find('signing')
    const { code, stdout } = await signingKeys('rotate', '--alg', 'EdDSA', '--now', '--yes')
    assert.equal(code, 0)
    const successor = await find('signing')
    assert.equal(stdout, `EdDSA  ${successor}  signs now\n`)
    assert.equal(await find('verifying'), old)
    await signingKeys('roll-back', '--alg', 'EdDSA', '--yes')
    assert.deepEqual([await find('signing'), await find('verifying')], [old, successor])
  })

  it('changes nothing without a terminal to ask on, nor where there is nothing to change', async (t) => {
    const { jeton, signingKeys, json } = await setup(t)
    const before = await json('list')
    const refused: [ReturnType<typeof jeton>, RegExp][] = [
      [signingKeys('rotate', '--now'), /^[^\n]+ Say --yes, since there is no terminal to ask at\.\n$/],
      [
        signingKeys('roll-back', '--alg', 'HS256'),
        /^[^\n]+ Say --yes, since there is no terminal to ask at\.\n$/,
      ],
      [signingKeys('roll-back', '--alg', 'HS256', '--yes'), /^There is no HS256 key to go back to\.\n$/],
      [signingKeys('roll-back', '--yes'), /--alg/],
      [signingKeys('rotate', '--alg', 'RS256'), /EdDSA, HS256/],
      [jeton('signing-keys', 'list', '--environment', 'env_none'), /^There is no such environment\.\n$/],
      [jeton('signing-keys', 'rotate', '--environment', 'env_none'), /^There is no such environment\.\n$/],
    ]
    for (const [ending, message] of refused) {
      const { code, stdout, stderr } = await ending
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, message)
    }
    assert.deepEqual(await json('list'), before)
  })
})
