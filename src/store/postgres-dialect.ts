import {
  ColumnDefinitionNode,
  type DatabaseIntrospector,
  type DataTypeNode,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresQueryCompiler,
  sql,
} from 'kysely'

/** How Kysely speaks to PostgreSQL, so that the tables and their order are those of the embedded database. */
export function postgresDialect(driver: Driver): Dialect {
  return {
    createDriver: () => driver,
    createAdapter: () => new Adapter(),
    createQueryCompiler: () => new Compiler(),
    createIntrospector: (db) => introspectorOf(db),
  }
}

class Compiler extends PostgresQueryCompiler {
  // SQLite compares text byte by byte, and PostgreSQL as the database's language orders words, unless a column says
  // otherwise. Paging by id and `parts` (read-changes.ts) go on where they stopped only if all compare alike.
  protected override visitDataType(node: DataTypeNode): void {
    super.visitDataType(node)
    const isColumn = this.parentNode !== undefined && ColumnDefinitionNode.is(this.parentNode)
    if (isColumn && node.dataType === 'text') this.append(' collate "C"')
  }
}

class Adapter extends PostgresAdapter {
  // `migrate` takes a lock that lasts until its transaction ends. Kysely's own is let go before that, and the next
  // process would find the tables not there yet.
  override async acquireMigrationLock(): Promise<void> {}
  override async releaseMigrationLock(): Promise<void> {}
}

// Kysely's own looks through every schema, and would take another program's table for ours, or stop at a schema that it
// may not look into.
function introspectorOf<Schema>(db: Kysely<Schema>): DatabaseIntrospector {
  return { getSchemas, getTables }

  async function getSchemas() {
    const { rows } = await sql<{ name: string }>`select nspname as name from pg_catalog.pg_namespace`.execute(
      db,
    )
    return rows
  }

  async function getTables() {
    const { rows } = await sql<{ name: string; schema: string }>`
      select tablename as name, schemaname as schema from pg_catalog.pg_tables
      where schemaname = current_schema()`.execute(db)
    return rows.map((table) => ({ ...table, isView: false, isForeign: false, columns: [] }))
  }
}
