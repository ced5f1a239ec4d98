import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { registerLimiterMetrics } from '../../src/metrics/limiter-metrics.ts'
import { Registry } from '../../src/metrics/prom-client.ts'
import { ADMIN } from '../helpers/admin.ts'
import { buildOnce } from '../helpers/app.ts'
import { readYaml } from '../helpers/manifests.ts'
import { familiesOf, samplesOf } from '../helpers/metrics.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = 'deploy/prometheus'

const isInstalled = spawnSync('promtool', ['--version']).error === undefined
const withoutPromtool = !isInstalled && !process.env.CI && 'promtool (Debian: prometheus) is not here'

const rule = z.strictObject({
  alert: z.string().regex(/^Jeton[A-Z]\w+$/),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
})
const { groups } = z
  .object({ groups: z.tuple([z.object({ rules: z.array(rule) })]) })
  .parse(readYaml(`${FOLDER}/rules.yml`)[0])
const [{ rules }] = groups

const expectation = z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()).default([]) })
const { tests } = z
  .object({ tests: z.array(z.object({ alert_rule_test: z.array(expectation) })) })
  .parse(readYaml(`${FOLDER}/rules.test.yml`)[0])
const expected = tests.flatMap(({ alert_rule_test }) => alert_rule_test)

const panel = z.looseObject({
  title: z.string(),
  targets: z.array(z.looseObject({ expr: z.string() })).optional(),
})
const dashboard = z
  .looseObject({ uid: z.string(), panels: z.array(panel) })
  .parse(JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/dashboard.json'), 'utf8')))
const targets = dashboard.panels.flatMap(({ targets: some = [] }) => some)

const service = buildOnce({ ADMIN_KEY: ADMIN })

describe('deploy/prometheus', () => {
  for (const args of [
    ['check', 'rules', 'rules.yml'],
    ['test', 'rules', 'rules.test.yml'],
    ['check', 'config', 'prometheus.example.yml'],
  ]) {
    it(`passes promtool ${args.slice(0, 2).join(' ')}`, { skip: withoutPromtool }, () => {
      const { status, stdout, stderr } = spawnSync('promtool', args, {
        cwd: join(ROOT, FOLDER),
        encoding: 'utf8',
      })
      assert.equal(status, 0, stdout + stderr)
    })
  }

  for (const { alert, annotations } of rules) {
    it(`says when ${alert} rings and when not, and what to do then`, () => {
      const rings = expected.filter(({ alertname }) => alertname === alert)
      assert.ok(rings.some(({ exp_alerts }) => exp_alerts.length > 0))
      assert.ok(rings.some(({ exp_alerts }) => exp_alerts.length === 0))
      assert.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`)
      const text = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')
      assert.ok(text.split('\n').includes(`### ${alert}`))
    })
  }
})

describe('rules and dashboard', () => {
  it('ask for nothing that Jeton does not tell, and the dashboard leaves nothing out', async () => {
    const { families, labels } = await told()
    const texts = [...rules, ...targets].map(({ expr }) => expr)
    const asked = texts.flatMap((text) => [
      ...text.matchAll(/\b((?:jeton|process|nodejs)_\w+)(?:\{([^}]*)\})?/g),
    ])
    assert.ok(asked.length > 50)
    for (const [, name = '', selector = ''] of asked) {
      const family = families.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')
      assert.ok(families.has(family), `nothing tells ${name}`)
      for (const [, label = ''] of selector.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)) {
        if (label === 'job' || label === 'instance') continue
        assert.ok(labels.get(family)?.has(label), `${name} has no ${label}`)
      }
    }
    const shown = targets.map(({ expr }) => expr).join('\n')
    assert.deepEqual(
      [...families].filter((family) => !shown.includes(family)),
      [],
    )
  })

  it('have an order, a title and a place for every panel', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    for (const { title } of dashboard.panels) assert.notEqual(title, '')
  })
})

/** Every family that a process tells, those of Redis included, and the labels of each. */
async function told() {
  const { server, post, seams, keyLives, made, follower } = service()
  await post('/v1/tokens', { peerId: 'a' })
  const expiresAt = seams.now() + 1_000
  await keyLives.create(made.environment.id, { kind: 'secret', expiresAt })
  await follower.refresh()
  const reply = await server.inject({ url: '/metrics', headers: { authorization: `Bearer ${ADMIN}` } })
  const registry = new Registry()
  registerLimiterMetrics(registry, { sharing: { state: () => 'shared', fallbacks: () => 0 } })()
  const text = `${reply.body}\n${await registry.metrics()}`
  const families = new Set(familiesOf(text))
  const labels = new Map<string, Set<string>>()
  for (const series of Object.keys(samplesOf(text))) {
    const [name = '', rest = ''] = series.split('{')
    const family = families.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')
    const known = labels.get(family) ?? new Set()
    for (const [, label = ''] of rest.matchAll(/(\w+)="/g)) known.add(label)
    labels.set(family, known)
  }
  return { families, labels }
}
