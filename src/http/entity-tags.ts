/** Whether a caller has this already (RFC 9110 §13.1.2: a list compared weakly, or `*` for anything). */
export function isMatched(ifNoneMatch: string | undefined, entityTag: string): boolean {
  if (ifNoneMatch === undefined) return false
  const held = ifNoneMatch.split(',').map(opaqueTag)
  return held.includes('*') || held.includes(opaqueTag(entityTag))
}

function opaqueTag(entityTag: string): string {
  return entityTag.trim().replace(/^W\//, '')
}
