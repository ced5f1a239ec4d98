import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { readConfig } from '../src/config.ts'
import { JetonError } from '../src/domain/errors.ts'
import { type SigningPeriod, signingKeyFor } from '../src/domain/signing-period.ts'
import { channels } from '../src/formats/channels.ts'
import { peer } from '../src/formats/peer.ts'
import { user } from '../src/formats/user.ts'
import { type Installation, openChangeRecords, openInstallation } from '../src/installation.ts'
import { verifyChanges } from '../src/journal/verify-changes.ts'
import { openSigner } from '../src/keys/signing-keys.ts'
import { backUpInstallation, restoreInstallation } from '../src/maintenance.ts'
import type { ChangeSet, SigningKey } from '../src/store/store.ts'
import { changesSince } from './helpers/changes.ts'
import { temporaryFolder } from './helpers/process.ts'
import { inFull } from './helpers/scale.ts'
import { drivenSeams } from './helpers/seams.ts'

/** Long enough for a successor to sign, and for a token to have expired. */
const [LEAD_MS, LIFE_MS] = [340_000, 86_500_000]
const FORMATS = [peer, user, channels]

/** Random trials; as many more in npm run test:long. */
const TRIALS = inFull(300, 30)
const STEPS = 24

/** An installation on a driven clock, opened in this process for each thing that is done to it. */
async function installed(t: TestContext) {
  const DATA_DIR = await temporaryFolder(t)
  const elsewhere = await temporaryFolder(t)
  const seams = drivenSeams()
  const MASTER_KEY = Buffer.from(seams.random(32)).toString('base64')
  const config = readConfig({ DATA_DIR, MASTER_KEY })
  const use = async <T>(work: (installation: Awaited<ReturnType<typeof openInstallation>>) => Promise<T>) => {
    const installation = await openInstallation(config, seams)
    try {
      return await work(installation)
    } finally {
      await installation.close()
    }
  }
  const { environment, keyId } = await use(({ environments }) => environments.create('Test'))
  const { id } = environment
  const fileOf = (backup: number) => join(elsewhere, `${backup}.db`)
  return {
    DATA_DIR,
    seams,
    use,
    id,
    keyId,
    fileOf,
    backUp: (backup = 0) => backUpInstallation(config, fileOf(backup), { force: true, seams }),
    restore: (backup = 0) =>
      restoreInstallation(config, fileOf(backup), { seams, actor: { by: 'command line' } }),
    rotate: (algorithm: 'EdDSA' | 'HS256', immediately = false) =>
      use(({ signingKeyRotation }) => signingKeyRotation.rotate(id, algorithm, { immediately })),
    rollBack: (algorithm: 'EdDSA' | 'HS256') =>
      use(({ signingKeyRotation }) => signingKeyRotation.rollBack(id, algorithm)),
    importKey: (kid: string) =>
      use(({ environments }) =>
        environments.importSigningKey({ environmentId: id, kid, format: channels }, 'x'.repeat(32)),
      ),
    lose() {
      for (const suffix of ['', '-wal', '-shm']) rmSync(join(DATA_DIR, `jeton.db${suffix}`), { force: true })
    },
    keys: () => use(({ store }) => store.listSigningKeys(id)),
    verify: async (anchors: readonly string[] = []) => {
      const records = await openChangeRecords(config)
      assert.ok(records !== undefined)
      const lines = (await Array.fromAsync(records.after(0))).map(({ line }) => line)
      return { ...(await verifyChanges(records, anchors)), lines }
    },
    /** What signs each format's tokens now, by `kid`. Each of them is opened. */
    signers: () => use((installation) => signersOf(installation, id, seams.now())),
  }
}

async function signersOf({ store, sealer }: Installation, id: string, now: number) {
  const keys = await store.listSigningKeys(id)
  return FORMATS.map((format) => {
    const { name, algorithm } = format
    const key = signingKeyFor(keys, { format: name, algorithm }, now)
    return key && openSigner(key, sealer).kid
  })
}

const periodsOf = (keys: readonly SigningKey[]) =>
  keys.map(({ kid, signsFrom, signsUntil, verifiesUntil }) => ({ kid, signsFrom, signsUntil, verifiesUntil }))

const hasEnded = ({ signsUntil }: SigningPeriod, now: number) => signsUntil !== undefined && signsUntil <= now

describe('a restore', () => {
  for (const immediately of [false, true]) {
    const how = immediately ? ' that was made at once' : ''
    it(`lets the old key sign after a rotation${how}, a backup and a roll back`, async (t) => {
      const { seams, backUp, restore, rotate, rollBack, keys, signers } = await installed(t)
      const before = await signers()
      await rotate('EdDSA', immediately)
      seams.advance(LEAD_MS)
      await backUp()
      await rollBack('EdDSA')
      const standing = periodsOf(await keys())
      await restore()
      assert.deepEqual(await signers(), before)
      assert.deepEqual(periodsOf(await keys()), standing)
    })
  }

  it('lets a successor sign that waited at the backup and was started at once after it', async (t) => {
    const { backUp, restore, rotate, signers } = await installed(t)
    await rotate('EdDSA')
    await backUp()
    const { key } = await rotate('EdDSA', true)
    await restore()
    assert.equal((await signers())[0], key.kid)
  })

  it('still tells that a signing secret was handed out after the backup', async (t) => {
    const { DATA_DIR, keys, backUp, restore } = await installed(t)
    await backUp()
    const database = new DatabaseSync(join(DATA_DIR, 'jeton.db'))
    database.exec('update signing_key set exported_at = 1')
    database.close()
    await restore()
    assert.deepEqual(
      (await keys()).map((key) => key.exportedAt),
      [1, 1],
    )
  })

  it('keeps the records of what it undoes, and has one of its own that names what it did', async (t) => {
    const { backUp, restore, use, id, keyId, verify, seams } = await installed(t)
    await backUp()
    await use(({ environments }) => environments.update(id, { name: 'Renamed' }))
    const gone = await use(({ keyLives }) => keyLives.create(id, { kind: 'secret' }))
    await use(({ keyLives }) => keyLives.revoke(keyId, { tokens: true }))
    const before = await verify()
    seams.advance(1_000)
    const { revision } = await restore()
    const after = await verify([before.head?.sha256 ?? ''])
    assert.deepEqual([after.broken, after.records], [undefined, before.records + 1])
    assert.deepEqual(after.anchors, [before.head?.sha256])
    assert.deepEqual([after.head?.revision, after.until], [revision, new Date(seams.now()).toISOString()])
    const record = JSON.parse(after.lines.at(-1) ?? '')
    assert.deepEqual([record.by, record.revision], ['command line', revision])
    assert.deepEqual(
      record.changes.map(({ set: _, ...change }: { set: object }) => change),
      [
        { what: 'database restored' },
        { what: 'key ended again', environmentId: id, keyId },
        { what: 'key gone', environmentId: id, keyId: gone.row.id },
      ],
    )
    const { set } = record.changes[0]
    assert.deepEqual(set.replaced, { state: 'whole', revision: before.head?.revision })
    assert.deepEqual([set.records.carried, set.revocations], [3, 1])
    assert.ok(after.lines.some((line) => line.includes('"Renamed"')))
    await use(({ environments }) => environments.update(id, { name: 'Again' }))
    assert.equal((await verify()).broken, undefined)
    await restore()
    assert.deepEqual([(await verify()).broken, (await verify()).records], [undefined, before.records + 3])
  })

  it('lets no fault in the records vanish', async (t) => {
    const { DATA_DIR, backUp, restore, use, id, verify } = await installed(t)
    await backUp()
    for (const name of ['One', 'Two']) await use(({ environments }) => environments.update(id, { name }))
    const { head } = await verify()
    const database = new DatabaseSync(join(DATA_DIR, 'jeton.db'))
    database.exec(
      `update change_record set line = replace(line, 'One', 'Six') where revision = ${Number(head?.revision) - 1}`,
    )
    database.close()
    await restore()
    const { broken } = await verify()
    assert.deepEqual([broken?.reason, broken?.revision], ['edited', Number(head?.revision) - 1])
  })

  it('keeps the backup’s records where the database is no descendant of it, and names the end of the others', async (t) => {
    const { backUp, restore, use, id, verify, lose } = await installed(t)
    await use(({ environments }) => environments.update(id, { name: 'Renamed' }))
    await backUp()
    const { records } = await verify()
    lose()
    await use(({ environments }) => environments.create('Another'))
    const other = await verify()
    await restore()
    const after = await verify()
    assert.deepEqual([after.broken, after.records], [undefined, records + 1])
    const [{ set }] = JSON.parse(after.lines.at(-1) ?? '').changes
    assert.deepEqual(set.records, {
      carried: 0,
      leftBehind: { n: other.head?.n, sha256: other.head?.sha256 },
    })
    lose()
    await restore()
    assert.deepEqual([(await verify()).broken, (await verify()).records], [undefined, records + 1])
  })

  it('keeps a key that was imported after the backup', async (t) => {
    const { backUp, restore, importKey, signers } = await installed(t)
    await importKey('theirs')
    await backUp()
    await importKey('theirs-anew')
    const before = await signers()
    const { vanished } = await restore()
    assert.deepEqual([await signers(), vanished], [before, []])
    assert.ok(before.includes('theirs-anew'))
  })

  it('keeps what was revoked revoked when backups are restored back and forth', async (t) => {
    const { use, id, backUp, restore } = await installed(t)
    await backUp(0)
    const { row } = await use(({ keyLives }) => keyLives.create(id, { kind: 'secret' }))
    await backUp(1)
    await use(({ keyLives }) => keyLives.revoke(row.id))
    await restore(0)
    await restore(1)
    const keys = await use(({ store }) => store.listApiKeys(id))
    assert.equal(typeof keys.find((key) => key.id === row.id)?.revokedAt, 'number')
  })

  it('keeps the whole line of successors of both kinds, and their ends', async (t) => {
    const { use, id, keyId, backUp, restore } = await installed(t)
    await backUp()
    const made = await use(async ({ keyLives }) => {
      const { secret, publishable } = await keyLives.rotatePair(id)
      const last = await keyLives.rotate(secret.row.id, 3_600)
      const ended = await keyLives.rotate(publishable.row.id)
      await keyLives.revoke(ended.row.id)
      return { secret, publishable, last, ended }
    })
    const before = await use(({ store }) => store.listApiKeys(id))
    const { kept, vanished } = await restore()
    assert.deepEqual(await use(({ store }) => store.listApiKeys(id)), before)
    assert.deepEqual(vanished, [])
    assert.deepEqual(
      kept.map((key) => [key.id, key.named]).sort(),
      Object.values(made)
        .map(({ row }) => [row.id, true])
        .sort(),
    )
    assert.equal(before.find((key) => key.id === keyId)?.successorId, made.secret.row.id)
  })

  it('keeps a rotated key from a later end', async (t) => {
    const { use, keyId, backUp, restore } = await installed(t)
    await backUp()
    await use(({ keyLives }) => keyLives.rotate(keyId, 3_600))
    await restore()
    await assert.rejects(
      use(({ keyLives }) => keyLives.update(keyId, { expiresAt: undefined })),
      { error: 'conflict' },
    )
  })

  it('keeps the earlier moment at which a key was exposed, and tells of it', async (t) => {
    const { use, id, keyId, seams, backUp, restore } = await installed(t)
    await backUp(0)
    const exposed = seams.now()
    const expose = (at: number) =>
      use(({ store }) => store.change((changes) => changes.updateApiKey(keyId, { exposedAt: at })))
    await expose(exposed)
    const told = (await restore(0)).exposed.map((key) => [key.id, key.at])
    assert.deepEqual(told, [[keyId, exposed]])
    await backUp(1)
    await expose(exposed + 1)
    assert.deepEqual((await restore(1)).exposed, [])
    const keys = await use(({ store }) => store.listApiKeys(id))
    assert.equal(keys.find((key) => key.id === keyId)?.exposedAt, exposed)
  })

  it('takes the name off a successor when a living key of the backup has it', async (t) => {
    const { use, id, backUp, restore } = await installed(t)
    const [one, two] = await use(async ({ keyLives }) => [
      (await keyLives.create(id, { kind: 'secret', name: 'one' })).row.id,
      (await keyLives.create(id, { kind: 'secret', name: 'two' })).row.id,
    ])
    await backUp()
    const successor = await use(async ({ keyLives }) => {
      await keyLives.update(one ?? '', { name: 'other' })
      await keyLives.update(two ?? '', { name: 'one' })
      return (await keyLives.rotate(two ?? '', 3_600)).row.id
    })
    const { kept } = await restore()
    assert.deepEqual(
      kept.map((key) => [key.id, key.named]),
      [[successor, false]],
    )
    const keys = await use(({ store }) => store.listApiKeys(id))
    const nameOf = (id: string | undefined) => keys.find((key) => key.id === id)?.name
    assert.deepEqual([nameOf(one), nameOf(two), nameOf(successor)], ['one', 'two', undefined])
  })

  for (const sealedOtherwise of [false, true]) {
    it(`${sealedOtherwise ? 'lets go of' : 'keeps'} a successor that signs by itself, sealed ${sealedOtherwise ? 'otherwise' : 'alike'}`, async (t) => {
      const { DATA_DIR, use, id, backUp, restore } = await installed(t)
      const key = await use(({ keyLives }) => keyLives.create(id, { kind: 'secret', localSigning: true }))
      await backUp()
      const { row } = await use(({ keyLives }) => keyLives.rotate(key.row.id))
      if (sealedOtherwise) {
        const database = new DatabaseSync(join(DATA_DIR, 'jeton.db'))
        database.exec("update signing_key set sealed_secret = 'AAAA' || kid")
        database.close()
      }
      const { kept, vanished } = await restore()
      assert.deepEqual(
        kept.map((one) => one.id),
        sealedOtherwise ? [] : [row.id],
      )
      const gone = vanished.filter(({ table }) => table === 'api_key')
      assert.deepEqual(
        gone.map((one) => [one.id, one.sealedOtherwise]),
        sealedOtherwise ? [[row.id, true]] : [],
      )
    })
  }

  it('counts far on where no database is left that tells how far readers may have come', async (t) => {
    const { use, backUp, restore, lose } = await installed(t)
    await backUp()
    const { revision } = await use(({ store }) => changesSince(store, 0))
    lose()
    assert.ok((await restore()).revision > revision + 1_000)
  })

  it('keeps tokens revoked that were revoked after the backup, and shows that to every process as new', async (t) => {
    const { use, id, backUp, restore } = await installed(t)
    const one = { environmentId: id, kind: 'jti', value: 'one', before: undefined, until: 2_000 } as const
    const all = { environmentId: id, kind: 'subject', value: 'alice', before: 1_000, until: 2_000 } as const
    const revoke = (...revocations: Parameters<ChangeSet['keepRevocation']>[0][]) =>
      use(({ store }) =>
        store.change(async (changes) => {
          for (const revocation of revocations) await changes.keepRevocation(revocation, 0)
        }),
      )
    await revoke(all, { ...all, value: 'bob' })
    await backUp()
    await revoke(one, { ...all, before: 1_500, until: 2_500 })
    const { revision, revocations } = await restore()
    assert.equal(revocations, 2)
    const found = await use(({ store }) => changesSince(store, revision - 1))
    assert.deepEqual(found.revocations, [
      { ...one, revision },
      { ...all, before: 1_500, until: 2_500, revision },
      { ...all, value: 'bob', revision },
    ])
  })

  it('lets go of the revocations of an environment that is gone', async (t) => {
    const { use, backUp, restore } = await installed(t)
    await backUp()
    const { environment } = await use(({ environments }) => environments.create('Later'))
    const revocation = { environmentId: environment.id, kind: 'jti', value: 'one', until: 2_000 } as const
    await use(({ store }) =>
      store.change((changes) => changes.keepRevocation({ ...revocation, before: undefined }, 0)),
    )
    assert.equal((await restore()).revocations, 0)
  })

  it('ends what the backup or the database ends when neither of them came from the other', async (t) => {
    const { seams, keys, signers, backUp, restore, rotate, lose } = await installed(t)
    const [first] = await signers()
    await backUp(0)
    const { key } = await rotate('EdDSA', true)
    await backUp(1)
    lose()
    await restore(0)
    assert.equal((await signers())[0], first)
    await restore(1)
    assert.equal((await signers())[0], key.kid)
    const old = (await keys()).find(({ kid }) => kid === first)
    assert.ok(old !== undefined && hasEnded(old, seams.now()))
  })

  // What the database that is replaced no longer tells: the successor's row, or how any row of it is sealed.
  const untold = {
    'the successor of an ended key is lost': 'delete from signing_key where kid = ?',
    'it is sealed under another data key': "update signing_key set sealed_secret = 'AAAA' || ?",
  }
  for (const [what, sql] of Object.entries(untold)) {
    it(`makes a key that signs when ${what}, and lets the ended one be`, async (t) => {
      const { seams, DATA_DIR, keys, signers, backUp, restore, rotate } = await installed(t)
      const [first, hs256] = await signers()
      await backUp()
      seams.advance(1)
      const { key } = await rotate('EdDSA', true)
      const database = new DatabaseSync(join(DATA_DIR, 'jeton.db'))
      database.prepare(sql).run(key.kid)
      database.close()
      const { renewed } = await restore()
      assert.deepEqual(
        renewed.map(({ algorithm, phase }) => [algorithm, phase]),
        [['EdDSA', 'signing']],
      )
      assert.deepEqual(await signers(), [renewed[0]?.kid, hs256, hs256])
      const old = (await keys()).find(({ kid }) => kid === first)
      assert.ok(old !== undefined && hasEnded(old, seams.now()))
    })
  }

  it('makes no key where one signs', async (t) => {
    const { backUp, restore } = await installed(t)
    await backUp()
    assert.deepEqual((await restore()).renewed, [])
  })

  for (let trial = 1; trial <= TRIALS; trial += 1) {
    it(`leaves what signs and what has ended as it is, whatever was done before (trial ${trial})`, async (t) => {
      await randomTrial(t, dice(trial), { losing: trial % 3 === 0 })
    })
  }
})

/** Rotations, roll backs, revocations, backups and restores as the dice fall. `losing`: the database as well. */
async function randomTrial(t: TestContext, roll: (sides: number) => number, { losing }: { losing: boolean }) {
  const it = await installed(t)
  const { seams, use, id } = it
  const done: string[] = []
  const revoked = new Set<string>()
  let backups = 0
  await it.backUp(backups++)

  const steps: Record<string, () => Promise<unknown>> = {
    rotate: () => it.rotate(algorithm()),
    'rotate at once': () => it.rotate(algorithm(), true),
    'roll back': () => it.rollBack(algorithm()).catch(refuseAllButConflict),
    import: () => it.importKey(`imported-${done.length}`),
    wait: async () => seams.advance(roll(3) * 100_000 + 1),
    'wait for long': async () => seams.advance(LEAD_MS + roll(2) * LIFE_MS),
    'make a key': () => use(({ keyLives }) => keyLives.create(id, { kind: 'secret' })),
    revoke: revokeAny,
    'rotate a key': () =>
      use(({ keyLives }) => keyLives.rotatePair(id, roll(2) * 3_600)).catch(refuseAllButConflict),
    'back up': () => it.backUp(backups++),
    restore: restoreAny,
    ...(losing ? { lose: loseAndRestore } : {}),
  }
  for (let step = 0; step < STEPS; step += 1) {
    const names = Object.keys(steps)
    const name = names[roll(names.length)] ?? ''
    done.push(name)
    await steps[name]?.()
    const [signers, keys] = await use(async (installation) => [
      await signersOf(installation, id, seams.now()),
      await installation.store.listApiKeys(id),
    ])
    assert.equal(signers.includes(undefined), false, `${done}: ${signers}`)
    const risen = keys.filter((key) => revoked.has(key.id) && key.revokedAt === undefined)
    assert.deepEqual(risen, [], `${done}`)
  }

  function algorithm() {
    return roll(2) === 0 ? 'EdDSA' : 'HS256'
  }

  async function revokeAny() {
    const keys = await use(({ store }) => store.listApiKeys(id))
    const key = keys[roll(keys.length)]
    if (key === undefined) return
    revoked.add(key.id)
    await use(({ keyLives }) => keyLives.revoke(key.id))
  }

  async function restoreAny() {
    const [keys, signers, line] = [await it.keys(), await it.signers(), await lineOfFirst()]
    await it.restore(roll(backups))
    const restored = await it.keys()
    for (const { kid } of keys.filter((key) => hasEnded(key, seams.now()))) {
      const key = restored.find((one) => one.kid === kid)
      assert.ok(key === undefined || hasEnded(key, seams.now()), `${done}: ${kid} signs again`)
    }
    if (done.includes('lose')) return
    assert.deepEqual(periodsOf(restored), periodsOf(keys), `${done}`)
    assert.deepEqual(await it.signers(), signers, `${done}`)
    assert.deepEqual(await lineOfFirst(), line, `${done}`)
  }

  // Every backup has the first key.
  async function lineOfFirst() {
    const keys = await use(({ store }) => store.listApiKeys(id))
    const line = []
    for (let key = keys.find((one) => one.id === it.keyId); key !== undefined; ) {
      const { successorId } = key
      line.push({ id: key.id, ended: key.revokedAt ?? key.expiresAt, successorId })
      key = keys.find((one) => one.id === successorId)
    }
    return line
  }

  // Nothing tells then what had ended since.
  async function loseAndRestore() {
    it.lose()
    await it.restore(roll(backups))
    revoked.clear()
  }
}

function refuseAllButConflict(error: unknown): void {
  if (!(error instanceof JetonError) || error.error !== 'conflict') throw error
}

/** Dice that fall the same way for the same seed (xorshift32). */
function dice(seed: number): (sides: number) => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return (sides) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
}
