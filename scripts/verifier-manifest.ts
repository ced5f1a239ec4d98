import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { z } from 'zod'

const MANIFEST = 'package.json'

/** Where the manifest of the whole project lies while that of the verifier is in its place. */
const KEPT = '.package.json.kept'

const manifest = z.looseObject({
  name: z.string(),
  version: z.string(),
  dependencies: z.record(z.string(), z.string()),
})

/** What of the project's manifest is that of the verifier too. */
const TAKEN = ['name', 'version', 'description', 'license', 'type', 'private', 'engines', 'exports', 'files']

/**
 * Run by npm around a pack: the package that is packed is the verifier alone, so that whoever installs it gets the two
 * packages that it imports and not those of the service.
 */
switch (process.argv[2]) {
  case 'clean':
    rmSync('dist', { recursive: true, force: true })
    break
  case 'put':
    // Whoever runs the script by hand wants what was built, and the project as it is.
    if (['pack', 'publish'].includes(process.env.npm_command ?? '')) put()
    break
  case 'restore':
    restore()
    break
  default:
    throw new Error('Say clean, put or restore.')
}

function put(): void {
  const text = readFileSync(MANIFEST, 'utf8')
  const { dependencies, ...project } = manifest.parse(JSON.parse(text))
  const taken = Object.entries(project).filter(([name]) => TAKEN.includes(name))
  const needed = importedPackages().map((name) => {
    const range = dependencies[name]
    if (range === undefined) throw new Error(`${name} is imported and is none of the dependencies.`)
    return [name, range]
  })
  const own = { ...Object.fromEntries(taken), dependencies: Object.fromEntries(needed) }
  writeFileSync(KEPT, text)
  writeFileSync(MANIFEST, `${JSON.stringify(own, null, 2)}\n`)
}

// A pack that was killed has left both: then this is to be run by hand.
function restore(): void {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST)
}

function importedPackages(): string[] {
  const found = globSync('dist/**/*.js').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\b(?:from|import)\s*\(?'([^'.][^']*)'/g)].map(
      ([, name = '']) => name,
    ),
  )
  return [...new Set(found)].filter((name) => !name.startsWith('node:')).sort()
}
