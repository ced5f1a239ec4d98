import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Secrets that must be nowhere, and everything that is looked through for them. */
export interface Canaries {
  /** Names a secret that nothing may hold. */
  plant(name: string, secret: string | Uint8Array): void
  /** Names a key: neither half of what is random in it may be anywhere. Its last four characters are its hint. */
  plantKey(name: string, key: string): void
  /** Names a token. Its claims are no secret; its signature is what makes it worth something. */
  plantToken(name: string, token: string): void
  /** Keeps a text or bytes to be looked through, without the secrets that stand there by right. */
  record(where: string, content: string | Uint8Array, shown?: readonly string[]): void
  /** Keeps every file in a folder and below it, packed ones unpacked. `shown` are the secrets that stand there by right, by the file's name. */
  recordFolder(where: string, folder: string, shown?: Record<string, readonly string[]>): void
  /** Each place that holds one, what it holds and in which form. */
  found(): string[]
  /** Whatever is looked through, by its name. */
  places(): string[]
  /** How much is looked through, in bytes. */
  sizeBytes(): number
}

export function createCanaries(): Canaries {
  const planted: { name: string; forms: (readonly [string, Buffer])[] }[] = []
  const recorded: { where: string; content: Buffer }[] = []
  return { plant, plantKey, plantToken, record, recordFolder, found, places, sizeBytes }

  function plant(name: string, secret: string | Uint8Array): void {
    const bytes = Buffer.from(secret)
    if (bytes.length < 8) throw new Error(`${name} is so short that it is found by chance`)
    planted.push({ name, forms: formsOf(bytes) })
  }

  function plantKey(name: string, key: string): void {
    const random = key.slice(key.lastIndexOf('_') + 1)
    plant(`${name} (first half)`, random.slice(0, 22))
    plant(`${name} (second half)`, random.slice(22, 43))
  }

  function plantToken(name: string, token: string): void {
    plant(name, token.slice(token.lastIndexOf('.') + 1))
  }

  function record(where: string, content: string | Uint8Array, shown: readonly string[] = []): void {
    const rest =
      shown.length === 0
        ? content
        : shown.reduce((text, secret) => text.replaceAll(secret, ''), Buffer.from(content).toString('latin1'))
    recorded.push({ where, content: typeof rest === 'string' ? Buffer.from(rest) : Buffer.from(rest) })
  }

  function recordFolder(where: string, folder: string, shown: Record<string, readonly string[]> = {}): void {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const { name, parentPath } = entry
      if (!entry.isFile()) continue
      const bytes = readFileSync(join(parentPath, name))
      record(`${where}: ${name}`, name.endsWith('.gz') ? gunzipSync(bytes) : bytes, shown[name])
    }
  }

  function found(): string[] {
    // All at once first: most forms of most secrets are nowhere.
    const everything = Buffer.concat(recorded.map(({ content }) => content))
    return planted.flatMap(({ name, forms }) =>
      forms
        .filter(([, bytes]) => everything.includes(bytes))
        .flatMap(([form, bytes]) =>
          recorded
            .filter(({ content }) => content.includes(bytes))
            .map(({ where }) => `${where} holds ${name} as ${form}`),
        ),
    )
  }

  function places(): string[] {
    return recorded.map(({ where }) => where)
  }

  function sizeBytes(): number {
    return recorded.reduce((sum, { content }) => sum + content.length, 0)
  }
}

/** What a secret looks like as it stands, in hex, and within anything that was written in base64. */
function formsOf(bytes: Buffer): (readonly [string, Buffer])[] {
  const hex = bytes.toString('hex')
  const inBase64 = [0, 1, 2].map((offset) => withinBase64(bytes, offset))
  return [
    ['it is', bytes],
    ['hex', Buffer.from(hex)],
    ['hex in capitals', Buffer.from(hex.toUpperCase())],
    ...inBase64.map((text) => ['base64', Buffer.from(text)] as const),
    ...inBase64.map((text) => ['base64url', Buffer.from(toUrlAlphabet(text))] as const),
  ]
}

// The digits of base64 that depend on these bytes alone, when so many others stand before them in a group of three.
function withinBase64(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
  return text.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + bytes.length) * 4) / 3))
}

function toUrlAlphabet(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_')
}
