import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { z } from 'zod'
import { temporaryFolder } from '../helpers/process.ts'
import { buildWithVerifiers } from '../helpers/verifier.ts'

const ROOT = join(import.meta.dirname, '../..')

const execute = promisify(execFile)

/** Runs a program in a folder, with nothing of the caller's npm in its environment. */
async function run(folder: string, program: string, args: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: folder, npm_config_update_notifier: 'false' }
  const { stdout } = await execute(program, [...args], { cwd: folder, env, timeout: 60_000 })
  return stdout
}

/** The project as it is in its repository, packed. */
async function pack(t: TestContext) {
  const folder = await temporaryFolder(t)
  const files = ['package.json', 'README.md', 'LICENSE', 'tsconfig.json', 'tsconfig.verifier.json']
  for (const name of [...files, 'scripts', 'src']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const packed = z.tuple([z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })])
  const [{ filename, files: inside }] = packed.parse(JSON.parse(await run(folder, 'npm', ['pack', '--json'])))
  // What the pack has put in the place of the project's own manifest is gone again.
  assert.equal(
    await readFile(join(folder, 'package.json'), 'utf8'),
    await readFile(join(ROOT, 'package.json'), 'utf8'),
  )
  return { paths: inside.map(({ path }) => path), tarball: join(folder, filename) }
}

const JUDGE = `
import { createVerifier, VerifierError } from 'jeton/verifier'

const { options, now, tokens } = JSON.parse(process.argv[2])
const verifier = createVerifier({ ...options, now: () => now })
await verifier.ready()
const answers = []
for (const [token, ask] of tokens) answers.push(await verifier.check(token, ask))
const misuse = await verifier.check('', {}).catch((error) => error instanceof VerifierError && error.code)
await verifier.close()
console.log(JSON.stringify({ answers, misuse }))
`

const CONSUMER = `
import { type Decision, createVerifier, type VerifierOptions } from 'jeton/verifier'

const options: VerifierOptions = { environmentId: 'env_a', url: 'https://jeton.example', secretKey: 'sk_a' }
const decision: Decision = await createVerifier(options).check('eyJ', { action: 'subscribe', channel: 'a' })
const who: string | null = decision.allowed ? decision.subject : null
const close: 4001 | 4002 | 4003 | undefined = decision.allowed ? undefined : decision.closeCode
// @ts-expect-error: an action that there is not
createVerifier(options).check('eyJ', { action: 'delete' })
// @ts-expect-error: an option that is needed
createVerifier({ url: 'https://jeton.example' })
export { close, who }
`

describe('the package', () => {
  it('is the verifier alone, runs where it is installed, and answers as the gate does', async (t) => {
    const { paths, tarball } = await pack(t)
    assert.deepEqual(
      paths.filter((path) => !/^dist\/(client|domain|formats)\/[\w-]+\.(js|d\.ts)$/.test(path)).sort(),
      ['LICENSE', 'README.md', 'package.json'],
    )
    assert.ok(paths.includes('dist/client/verifier.js') && paths.includes('dist/client/verifier.d.ts'))

    const project = await temporaryFolder(t)
    await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}')
    // What the tarball needs is here already, so that no registry is asked; if it needed more, this would fail.
    const needed = ['jose', 'zod'].map((name) => join(ROOT, 'node_modules', name))
    const how = ['--offline', '--install-links', '--ignore-scripts', '--no-audit', '--no-fund']
    await run(project, 'npm', ['install', ...how, tarball, ...needed])
    const installed = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'))
    assert.deepEqual(installed.sort(), ['jeton', 'jose', 'zod'])

    const { url, environmentId, secretKey, seams, mint, post } = await buildWithVerifiers(t)
    const token = await mint('/v1/peer/tokens', {
      groupId: 'g',
      peerId: 'p',
      allowPolicy: { groupId: 'g', peerId: '*' },
    })
    const tokens = [
      [token],
      [token, { groupId: 'g', peerId: 'q' }],
      [token, { groupId: 'h', peerId: 'q' }],
      [`${token.slice(0, -10)}AAAAAAAAAA`],
      ['nonsense'],
    ]
    const options = { environmentId, url, secretKey }
    await writeFile(join(project, 'judge.js'), JUDGE)
    const task = JSON.stringify({ options, tokens, now: seams.now() })
    const { answers, misuse } = JSON.parse(await run(project, process.execPath, ['judge.js', task]))
    const gate = await Promise.all(
      tokens.map(async ([token, ask]) => (await post('/v1/verify', { token, ask })).json()),
    )
    assert.deepEqual(answers, gate)
    assert.deepEqual(
      gate.map(({ allowed }) => allowed),
      [true, true, false, false, false],
    )
    assert.equal(misuse, 'ask_invalid')

    await writeFile(join(project, 'consumer.ts'), CONSUMER)
    // Without Node's own types, as a project may be that looks at what it depends on.
    const types = ['--types', '', '--skipLibCheck', 'false']
    const modes = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--module',
      'nodenext',
      '--target',
      'es2023',
    ]
    await run(project, join(ROOT, 'node_modules/.bin/tsc'), [...modes, ...types, 'consumer.ts'])
  })
})
