/** What failed, by the code that Node or a library gives it, like `ENOENT`; `undefined` where there is none. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** For a promise's `catch`: goes on with `undefined` where nothing lies at a path, and throws everything else. */
export function onlyAbsent(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error
}
