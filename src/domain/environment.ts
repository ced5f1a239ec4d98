/** The tag of an environment's keys when none is asked for. */
export const DEFAULT_TAG = 'live'

/** In characters, of an environment's or a key's name. */
export const LONGEST_NAME = 80

const TAG = /^[a-z0-9]{1,8}$/

/** Why `tag` cannot stand in an environment's keys, or `undefined` when it can. */
export function tagFault(tag: string): string | undefined {
  return TAG.test(tag) ? undefined : 'A tag is 1 to 8 characters of a-z and 0-9.'
}

/** Why `name` cannot be the name of an environment or a key, or `undefined` when it can. */
export function nameFault(name: string): string | undefined {
  if (name.length === 0 || [...name].length > LONGEST_NAME)
    return `A name has 1 to ${LONGEST_NAME} characters.`
  if (name !== name.trim()) return 'A name does not begin or end with a space.'
  if (/\p{Cc}/u.test(name) || !name.isWellFormed()) return 'A name holds no control characters.'
  return undefined
}
