// Control, format and invisible characters, line and paragraph separators: what makes two names look alike.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/u
const PLAIN = /^[\x21-\x7e]+$/

/**
 * Why `text` cannot name a subject, or `undefined` when it can. A subject is counted exactly as it is sent,
 * so whatever could make `bob` and `bob ` two allowances for one person is refused here.
 */
export function subjectFault(text: string): string | undefined {
  if (PLAIN.test(text)) return undefined
  if (text.trim() !== text) return 'must not begin or end with a space'
  if (!text.isWellFormed()) return 'must be well-formed Unicode'
  if (INVISIBLE.test(text)) return 'must not hold control or invisible characters'
  return undefined
}
