import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/** A table of ours. */
export interface Table {
  readonly name: string
  readonly columns: readonly string[]
  /** The columns that a row is found by. */
  readonly identity: readonly string[]
}

const named = z.object({ name: z.string() })
const column = z.object({ name: z.string(), pk: z.number() })
const reference = z.object({ table: z.string() })

/** Every table of an embedded database but the migrations' own, those first that others refer to. */
export function tablesOf(database: DatabaseSync): Table[] {
  const names = z
    .array(named)
    .parse(database.prepare("select name from sqlite_schema where type = 'table' order by name").all())
    .map(({ name }) => name)
    .filter((name) => !/^(sqlite|kysely)_/.test(name))
  const ordered: string[] = []
  for (const name of names) place(name)
  return ordered.map((name) => tableOf(database, name))

  function place(name: string): void {
    if (ordered.includes(name)) return
    const references = z
      .array(reference)
      .parse(database.prepare('select "table" from pragma_foreign_key_list(?)').all(name))
    for (const { table } of references) if (table !== name) place(table)
    ordered.push(name)
  }
}

/** Names as SQL writes them, with commas between. */
export function namesOf(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

function tableOf(database: DatabaseSync, name: string): Table {
  const columns = z
    .array(column)
    .parse(database.prepare('select name, pk from pragma_table_info(?)').all(name))
  const identity = columns.filter(({ pk }) => pk > 0).sort((one, other) => one.pk - other.pk)
  if (identity.length === 0) throw new Error(`The table ${name} has no primary key`)
  return { name, columns: columns.map((known) => known.name), identity: identity.map((known) => known.name) }
}
