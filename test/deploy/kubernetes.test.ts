import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { checkConfig, environmentVariables } from '../../src/config.ts'
import { buildOnce } from '../helpers/app.ts'
import { readDockerfile, readYaml } from '../helpers/manifests.ts'
import { run, temporaryFolder } from '../helpers/process.ts'

const FOLDER = 'deploy/kubernetes'
const NAME = 'app.kubernetes.io/name'

const files = readdirSync(join(import.meta.dirname, '../..', FOLDER))
const { resources } = z.looseObject({ resources: z.array(z.string()) }).parse(read('kustomization.yaml')[0])
const manifests = resources.flatMap(read)

const labels = z.looseObject({ [NAME]: z.literal('jeton') })
const selector = z.object({ matchLabels: labels })
const port = z.object({ name: z.string(), port: z.number(), targetPort: z.string() })
const probe = z.looseObject({
  httpGet: z.object({ path: z.string(), port: z.string() }),
  timeoutSeconds: z.number(),
})
const statefulSet = find(
  'StatefulSet',
  z.strictObject({
    serviceName: z.string(),
    podManagementPolicy: z.literal('Parallel'),
    updateStrategy: z.object({ type: z.literal('RollingUpdate') }),
    minReadySeconds: z.number(),
    revisionHistoryLimit: z.number(),
    persistentVolumeClaimRetentionPolicy: z.object({
      whenScaled: z.literal('Retain'),
      whenDeleted: z.literal('Retain'),
    }),
    selector,
    template: z.object({
      metadata: z.object({ labels, annotations: z.record(z.string(), z.string()) }),
      spec: z.looseObject({
        serviceAccountName: z.string(),
        automountServiceAccountToken: z.literal(false),
        securityContext: z.object({
          runAsNonRoot: z.literal(true),
          runAsUser: z.int().min(1),
          runAsGroup: z.int().min(1),
          fsGroup: z.int().min(1),
          seccompProfile: z.object({ type: z.literal('RuntimeDefault') }),
        }),
        terminationGracePeriodSeconds: z.number(),
        topologySpreadConstraints: z.array(z.looseObject({ labelSelector: selector })),
        containers: z.array(
          z.looseObject({
            image: z.string(),
            envFrom: z.array(z.object({ configMapRef: z.object({ name: z.literal('jeton') }) })),
            ports: z.array(z.object({ name: z.string(), containerPort: z.number() })),
            securityContext: z.strictObject({
              allowPrivilegeEscalation: z.literal(false),
              readOnlyRootFilesystem: z.literal(true),
              capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
            }),
            resources: z.object({
              requests: z.object({ cpu: z.string(), memory: z.string() }),
              limits: z.object({ memory: z.string() }),
            }),
            startupProbe: probe,
            livenessProbe: probe,
            readinessProbe: probe,
            lifecycle: z.object({ preStop: z.object({ sleep: z.object({ seconds: z.number() }) }) }),
            volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
          }),
        ),
        volumes: z.array(
          z.looseObject({
            name: z.string(),
            secret: z.object({ secretName: z.string(), defaultMode: z.literal(0o440) }).optional(),
          }),
        ),
      }),
    }),
    volumeClaimTemplates: z.array(z.looseObject({ metadata: z.object({ name: z.string() }) })),
  }),
)
const pod = statefulSet.template.spec
const [container = assert.fail()] = pod.containers
const config = z.object({ data: z.record(z.string(), z.string()) }).parse(manifest('ConfigMap')).data
const example = z
  .object({ stringData: z.record(z.string(), z.string()) })
  .parse(read('secret.example.yaml')[0]).stringData
const image = readDockerfile()
const service = buildOnce()

describe('deploy/kubernetes', () => {
  it('names every manifest in its kustomization, but the example of a secret', () => {
    assert.deepEqual([...resources, 'kustomization.yaml', 'secret.example.yaml'].sort(), files.sort())
  })

  it('confines every container, and gives it no token of the cluster', () => {
    assert.equal(pod.containers.length, 1)
    assert.ok(!('initContainers' in pod))
    for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) assert.ok(!(name in pod), name)
    const { automountServiceAccountToken } = z
      .object({ automountServiceAccountToken: z.boolean() })
      .parse(manifest('ServiceAccount'))
    assert.equal(automountServiceAccountToken, false)
    assert.match(
      JSON.stringify(manifest('Namespace')),
      /"pod-security\.kubernetes\.io\/enforce":"restricted"/,
    )
  })

  it('gives every folder that is mounted a volume, and Jeton one to write to', () => {
    const volumes = [...pod.volumes, ...statefulSet.volumeClaimTemplates.map(({ metadata }) => metadata)]
    assert.deepEqual(
      container.volumeMounts.map(({ name }) => name).sort(),
      volumes.map(({ name }) => name).sort(),
    )
    assert.ok(config.DATA_DIR?.startsWith(`${mountOf('data')}/`))
  })

  it('tells Jeton only what Jeton knows, and nothing secret', () => {
    for (const name of Object.keys(config)) assert.ok(name in environmentVariables.shape, name)
    for (const name of ['MASTER_KEY', 'ADMIN_KEY', 'DATABASE_URL', 'REDIS_URL']) {
      assert.ok(!(name in config), name)
      assert.ok(config[`${name}_FILE`]?.startsWith(`${mountOf('secrets')}/`))
    }
  })

  it("makes a configuration that Jeton takes, with a secret of the example's shape", async (t) => {
    const folder = await temporaryFolder(t)
    const lines = (await run('cli/jeton.ts', ['secrets', 'create'], {})).stdout
    const values: Record<string, string> = {
      'master-key': /MASTER_KEY=(.+)/.exec(lines)?.[1] ?? '',
      'admin-key': /ADMIN_KEY=(.+)/.exec(lines)?.[1] ?? '',
      'database-url': 'postgres://jeton:password@db.example.com:5432/jeton?sslmode=verify-full',
      'redis-url': 'rediss://:password@redis.example.com:6379',
    }
    assert.deepEqual(Object.keys(values).sort(), Object.keys(example).sort())
    const env = Object.fromEntries(
      Object.entries({ ...image.env, ...config }).map(([name, value]) => [
        name,
        value.replace(mountOf('secrets'), folder),
      ]),
    )
    for (const [name, value] of Object.entries(values)) await writeFile(join(folder, name), `${value}\n`)
    const { config: taken, faults } = checkConfig(env)
    assert.deepEqual(faults, [])
    assert.equal(taken?.requireHttps, true)
    assert.equal(taken?.databaseUrl, values['database-url'])
    // As it stands, nothing of the example works.
    for (const name of Object.keys(example)) await writeFile(join(folder, name), example[name] ?? '')
    assert.equal(checkConfig(env).faults.length, Object.keys(example).length)
  })

  for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
    it(`asks what Jeton answers: ${name}`, async () => {
      const { path, port: asked } = container[name].httpGet
      assert.equal(path, name === 'readinessProbe' ? '/readyz' : '/healthz')
      assert.equal((await service().server.inject({ url: path })).statusCode, 200)
      assert.deepEqual(container.ports[0], { name: asked, containerPort: Number(image.env.PORT) })
    })
  }

  it('opens the metrics on a port of their own, and says so to Prometheus', () => {
    const containerPort = Number(config.METRICS_PORT)
    assert.deepEqual(container.ports.slice(1), [{ name: 'metrics', containerPort }])
    assert.deepEqual(statefulSet.template.metadata.annotations, {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': config.METRICS_PORT,
    })
  })

  it('gives Jeton the time in which it ends, after the balancers know', () => {
    const beforeSeconds = container.lifecycle.preStop.sleep.seconds
    assert.ok(pod.terminationGracePeriodSeconds > beforeSeconds + 9)
  })

  it('leads from the name in PUBLIC_URL to the port that Jeton listens on', () => {
    const backend = z.object({
      service: z.object({ name: z.string(), port: z.object({ name: z.string() }) }),
    })
    const rule = z.object({
      host: z.string(),
      http: z.object({ paths: z.tuple([z.looseObject({ backend })]) }),
    })
    const ingress = find(
      'Ingress',
      z.looseObject({
        tls: z.tuple([z.looseObject({ hosts: z.tuple([z.string()]) })]),
        rules: z.tuple([rule]),
      }),
    )
    const [{ host, http }] = ingress.rules
    assert.deepEqual([host], ingress.tls[0].hosts)
    assert.equal(config.PUBLIC_URL, `https://${host}`)
    const [{ backend: to }] = http.paths
    const services = manifests
      .filter((it) => isKind(it, 'Service'))
      .map((it) =>
        z
          .object({
            metadata: z.looseObject({ name: z.string() }),
            spec: z.looseObject({ selector: labels, ports: z.tuple([port]) }),
          })
          .parse(it),
      )
    assert.deepEqual(services.map(({ metadata }) => metadata.name).sort(), ['jeton', statefulSet.serviceName])
    for (const { spec } of services) assert.equal(spec.ports[0].targetPort, container.ports[0]?.name)
    assert.deepEqual(to.service, { name: 'jeton', port: { name: services[0]?.spec.ports[0].name } })
  })

  it('keeps enough replicas while nodes are emptied, and leaves their number to the autoscaler', () => {
    const scaler = find(
      'HorizontalPodAutoscaler',
      z.looseObject({
        scaleTargetRef: z.object({ kind: z.string(), name: z.string() }),
        minReplicas: z.number(),
        maxReplicas: z.number(),
      }),
    )
    assert.deepEqual(scaler.scaleTargetRef, { kind: 'StatefulSet', name: 'jeton' })
    const budget = find('PodDisruptionBudget', z.looseObject({ maxUnavailable: z.number(), selector }))
    assert.ok(scaler.minReplicas - budget.maxUnavailable >= 2)
    assert.ok(scaler.maxReplicas > scaler.minReplicas)
  })

  it('lets nobody in, and nothing out, that is not named', () => {
    const peers = z.array(z.record(z.string(), z.unknown())).min(1)
    const ports = z.array(z.looseObject({ port: z.union([z.string(), z.number()]) })).min(1)
    const policy = find(
      'NetworkPolicy',
      z.strictObject({
        podSelector: selector,
        policyTypes: z.tuple([z.literal('Ingress'), z.literal('Egress')]),
        ingress: z.array(z.strictObject({ from: peers, ports })),
        egress: z.array(z.strictObject({ to: peers, ports })),
      }),
    )
    // Each to one kind of caller: who reads metrics cannot ask for tokens, and the other way round.
    assert.deepEqual(
      policy.ingress.map((rule) => [rule.from.length, ...rule.ports.map((it) => it.port)]),
      container.ports.map(({ name }) => [1, name]),
    )
    assert.deepEqual(
      policy.egress.flatMap((rule) => rule.ports.map((it) => it.port)),
      [53, 53, 5432, 6379],
    )
  })
})

function read(file: string): unknown[] {
  return readYaml(`${FOLDER}/${file}`)
}

function isKind(it: unknown, kind: string): boolean {
  return z.looseObject({ kind: z.literal(kind) }).safeParse(it).success
}

function manifest(kind: string): unknown {
  return manifests.find((it) => isKind(it, kind)) ?? assert.fail(`There is no ${kind}`)
}

function find<T>(kind: string, spec: z.ZodType<T>): T {
  return z.object({ spec }).parse(manifest(kind)).spec
}

function mountOf(volume: string): string {
  return container.volumeMounts.find(({ name }) => name === volume)?.mountPath ?? assert.fail()
}
