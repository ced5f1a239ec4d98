import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { findChromium, openBrowser, say, signIn } from '../../examples/demo/browser.ts'
import { temporaryFolder } from '../helpers/process.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Where CI runs, a missing chromium is a failure. */
const skip = !process.env.CI && findChromium() === undefined && 'chromium is not installed'

test('the demo, in two tabs of a browser', { skip }, async (t) => {
  const TMPDIR = await temporaryFolder(t)
  const { child, url } = await startDemo(t, TMPDIR)
  const browser = await openBrowser()
  t.after(() => browser.close())
  // Two tabs of one browser, which share its cookies.
  const context = await browser.newContext()
  const alice = await context.newPage()
  const bob = await context.newPage()
  const faults = [alice, bob].map(faultsOf)

  await t.test('lets each be its own user, with the colour that Jeton gave', async () => {
    await signIn(alice, url, 'Alice')
    await signIn(bob, url, 'Bob')
    const [one, other] = [await me(alice), await me(bob)]
    assert.deepEqual([one.name, other.name], ['Alice', 'Bob'])
    for (const { color } of [one, other]) assert.match(color, /^#[0-9a-f]{6}$/)
  })

  await t.test('shows each who is there', async () => {
    await alice.getByRole('button', { name: 'Shut Bob out' }).waitFor()
    await bob.getByRole('button', { name: 'Shut Alice out' }).waitFor()
  })

  await t.test('carries what one says to the other, with name and colour', async () => {
    await say(alice, 'Hello <b>Bob</b>')
    const message = bob.getByRole('log').getByRole('listitem').filter({ hasText: 'Hello <b>Bob</b>' })
    assert.equal(await message.locator('strong').textContent(), 'Alice')
    assert.equal(await colorOf(message), (await me(alice)).color)
  })

  await t.test('carries what is for one alone', async () => {
    await bob.getByRole('button', { name: 'Wave at Alice' }).click()
    const message = alice.getByRole('log').getByRole('listitem').filter({ hasText: 'waves at you' })
    assert.equal(await message.locator('strong').textContent(), 'Bob')
    assert.equal(await colorOf(message), (await me(bob)).color)
  })

  await t.test('shuts one out for the other, says why, and keeps it out', async () => {
    await alice.getByRole('button', { name: 'Shut Bob out' }).click()
    const notice = bob.getByRole('alert')
    await notice.waitFor()
    assert.match(
      String(await notice.textContent()),
      /You were shut out\s+Close code 4001, reason token_revoked/,
    )
    await alice.getByRole('button', { name: 'Shut Bob out' }).waitFor({ state: 'detached' })
    assert.equal(await bob.getByRole('button', { name: 'Send' }).isEnabled(), false)
    // His session has ended as well, so no fresh token is minted for him.
    await bob.reload()
    await bob.getByRole('heading', { name: 'Who are you?' }).waitFor()
    assert.equal(await alice.getByText('Connected', { exact: true }).isVisible(), true)
  })

  await t.test('runs without a fault in either page', () => assert.deepEqual(faults, [[], []]))

  await t.test('ends at ^C, and leaves nothing behind', async () => {
    assert.equal((await readdir(TMPDIR)).filter((name) => name.startsWith('jeton-demo-')).length, 1)
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    assert.equal(code, 0)
    assert.deepEqual(
      (await readdir(TMPDIR)).filter((name) => name.startsWith('jeton-demo-')),
      [],
    )
    await assert.rejects(fetch(url))
  })
})

async function startDemo(t: TestContext, TMPDIR: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'examples/demo/demo.ts')], {
    env: { PATH: process.env.PATH, TMPDIR },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGINT')
    await once(child, 'close')
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      said += text
    })
  }
  const url = await t.waitFor(
    () => {
      assert.equal(child.exitCode, null, said)
      return /listening at (http:\S+)/.exec(said)?.[1] ?? assert.fail(said)
    },
    { interval: 50, timeout: 60_000 },
  )
  return { child, url }
}

/** What the page itself finds wrong, its Content Security Policy included. */
function faultsOf(page: Page): string[] {
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
  return faults
}

async function me(page: Page): Promise<{ name: string; color: string }> {
  return await (await page.request.get(new URL('api/me', page.url()).href)).json()
}

async function colorOf(message: Locator): Promise<string> {
  return String(await message.getAttribute('style')).replace(/^--color: (.*);$/, '$1')
}
