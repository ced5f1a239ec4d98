import { realpathSync, renameSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { removeDatabase, syncName } from './files.ts'
import { StoreError } from './migrate.ts'
import { copyDatabase } from './sqlite-file.ts'

/**
 * Copies the database into a file, while servers go on. The file appears whole or not at all, for its owner alone.
 * What was secret is sealed in it as in the database; the master key is not in it.
 *
 * @param options.force whether the file may take the place of one that is there
 * @param options.mark makes the draft beside the file another one than any other backup's
 * @throws StoreError when it cannot be made; nothing was changed then
 */
export async function backUp(
  databasePath: string,
  file: string,
  { force, mark }: { readonly force: boolean; readonly mark: string },
): Promise<void> {
  try {
    refuseOwnFiles(databasePath, file)
    refusePlace(file, force)
    const draft = `${file}.${mark}`
    await copyDatabase(databasePath, draft)
    putInPlace(draft, file)
    syncName(file)
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error)) throw error
    throw new StoreError(`${file} cannot be written: ${error.message}`, { cause: error })
  }
}

function refuseOwnFiles(databasePath: string, file: string): void {
  if (realpathSync(dirname(file)) !== realpathSync(dirname(databasePath))) return
  const own = ['master.key', 'jeton.lock'].includes(basename(file))
  if (!own && !basename(file).startsWith(basename(databasePath))) return
  throw new StoreError(`${file} is a file that Jeton lives on: give the backup another name.`)
}

// A folder or a device has more to lose than what a file holds.
function refusePlace(file: string, force: boolean): void {
  if (file === '') throw new StoreError('The backup needs the name of a file.')
  const there = statSync(file, { throwIfNoEntry: false })
  if (there === undefined) return
  if (!there.isFile()) throw new StoreError(`${file} is there and no file: give the backup another name.`)
  if (!force) throw new StoreError(`${file} is there already: say --force to put the backup in its place.`)
}

function putInPlace(draft: string, file: string): void {
  try {
    renameSync(draft, file)
  } catch (error) {
    removeDatabase(draft)
    throw error
  }
}
