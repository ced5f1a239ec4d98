import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

const ROOT = join(import.meta.dirname, '../..')

/** A file of this project. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/**
 * The documents of a YAML file. Whatever a stricter reader may refuse is refused: two members of one name, and what is
 * read in different ways by different versions of YAML.
 *
 * @throws Error when it is not YAML
 */
export function readYaml(path: string): unknown[] {
  return parseAllDocuments(readText(path), { merge: true, strict: true, uniqueKeys: true }).map(
    (document) => {
      const [fault] = [...document.errors, ...document.warnings]
      if (fault !== undefined) throw fault
      return document.toJS()
    },
  )
}

/** What the image sets, and who runs in it. */
export function readDockerfile(): { env: Record<string, string>; user: string; hasHealthCheck: boolean } {
  const last =
    readText('Dockerfile')
      .split(/^FROM /m)
      .at(-1) ?? ''
  const env = /^ENV ((?:.*\\\n)*.*)$/m.exec(last)?.[1] ?? ''
  return {
    env: Object.fromEntries([...env.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value])),
    user: /^USER (\S+)$/m.exec(last)?.[1] ?? 'root',
    hasHealthCheck: /^HEALTHCHECK --/m.test(last),
  }
}
