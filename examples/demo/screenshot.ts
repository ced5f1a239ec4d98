import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { openBrowser, say, signIn } from './browser.ts'
import { startProgram } from './programs.ts'

// Run it with `npm run demo:picture`. It makes docs/demo.png: two tabs of the demo side by side, after one has shut the other out.
const TAB = { width: 700, height: 640 }
const PICTURE = join(import.meta.dirname, '../../docs/demo.png')

const demo = startProgram('examples/demo/demo.ts', {})
try {
  const url = await demo.url
  await using browser = await openBrowser()
  const context = await browser.newContext({ viewport: TAB, colorScheme: 'light' })
  const alice = await context.newPage()
  const bob = await context.newPage()
  await signIn(alice, url, 'Alice')
  await signIn(bob, url, 'Bob')
  await alice.getByRole('button', { name: 'Shut Bob out' }).waitFor()
  await say(alice, 'Hello Bob! My name and my colour stand in my token.')
  await bob.getByText('Hello Bob!').waitFor()
  await say(bob, 'Hello Alice! Mine too, so nobody can speak as me.')
  await alice.getByText('Hello Alice!').waitFor()
  await bob.getByRole('button', { name: 'Wave at Alice' }).click()
  await alice.getByText('waves at you').waitFor()
  await say(alice, 'Now I revoke your tokens. Watch your tab.')
  await bob.getByText('Watch your tab').waitFor()
  await alice.getByRole('button', { name: 'Shut Bob out' }).click()
  await bob.getByText('You were shut out').waitFor()
  await alice.getByRole('button', { name: 'Shut Bob out' }).waitFor({ state: 'detached' })

  const both = await context.newPage()
  await both.setViewportSize({ width: 2 * TAB.width + 60, height: TAB.height + 82 })
  await both.setContent(`
    <style>
      body { margin: 0; padding: 20px; display: flex; align-items: start; gap: 20px; background: #cbd5e1; font: 15px system-ui, "DejaVu Sans", sans-serif }
      figure { margin: 0; border-radius: 12px; overflow: hidden; background: #64748b; box-shadow: 0 8px 24px #0f172a55 }
      figcaption { padding: 10px 16px; color: #fff; font-weight: 600 }
      img { display: block }
    </style>
    ${await figure(alice)}${await figure(bob)}`)
  await both.screenshot({ path: PICTURE })
} finally {
  await demo.stop()
}

async function figure(page: Page): Promise<string> {
  const picture = await page.screenshot()
  const source = `data:image/png;base64,${picture.toString('base64')}`
  return `<figure><figcaption>${await page.title()}</figcaption><img alt="" src="${source}"></figure>`
}
