/** Finds numbers by digests. Nothing is ever removed. */
export interface DigestIndex {
  /** The number that was set last for a digest; `undefined` when none was. */
  get(digest: string): number | undefined
  /**
   * @throws RangeError unless it is a whole number from 0 to 2^32 - 2
   */
  set(digest: string, number: number): void
}

/** A table is copied when it grows; many small ones never hold the event loop for that. */
const TABLES = 256
const FIRST_SLOTS = 8
/** A table that is fuller grows to twice its size. */
const FULLEST = 0.75
/** What of a digest is kept, in words of 32 bits. */
const KEY_WORDS = 4
/** A key, and behind it its number plus one: 0 where there is none. */
const SLOT_WORDS = KEY_WORDS + 1
const LARGEST_NUMBER = 2 ** 32 - 2

interface Table {
  readonly words: Uint32Array
  readonly slots: number
  used: number
}

/**
 * An index in arrays outside of the heap that the collector walks: a digest takes 27 to 53 bytes there, and gives it
 * nothing to move. Open addressing with linear probing, since a digest's bits are as good as random.
 *
 * Digests are text of one byte a character, of which the first 16 count. They must be of a hash with a secret: whoever
 * could work out digests that begin in one slot could make every look-up as long as the table, and two of which 16
 * characters are the same are one here.
 */
export function createDigestIndex(): DigestIndex {
  const tables: (Table | undefined)[] = Array.from({ length: TABLES }, () => undefined)
  const key = new Uint32Array(KEY_WORDS)
  return { get, set }

  function get(digest: string): number | undefined {
    const table = tables[readKey(digest)]
    if (table === undefined) return undefined
    const found = table.words[placeOf(table, key, 0) + KEY_WORDS] ?? 0
    return found === 0 ? undefined : found - 1
  }

  function set(digest: string, number: number): void {
    if (!Number.isInteger(number) || number < 0 || number > LARGEST_NUMBER) {
      throw new RangeError(`${number} cannot be kept in an index`)
    }
    const which = readKey(digest)
    const table = roomy(tables[which])
    tables[which] = table
    put(table, key, 0, number + 1)
  }

  // Gives back which table it belongs to.
  function readKey(digest: string): number {
    for (let word = 0; word < KEY_WORDS; word += 1) {
      let bits = 0
      for (let at = word * 4; at < word * 4 + 4; at += 1) bits = (bits << 8) | digest.charCodeAt(at)
      key[word] = bits
    }
    return digest.charCodeAt(0) % TABLES
  }
}

function roomy(table: Table | undefined): Table {
  if (table === undefined) return createTable(FIRST_SLOTS)
  if (table.used < table.slots * FULLEST) return table
  const larger = createTable(table.slots * 2)
  const { words } = table
  for (let from = 0; from < words.length; from += SLOT_WORDS) {
    const numberAndOne = words[from + KEY_WORDS] ?? 0
    if (numberAndOne !== 0) put(larger, words, from, numberAndOne)
  }
  return larger
}

function createTable(slots: number): Table {
  return { words: new Uint32Array(slots * SLOT_WORDS), slots, used: 0 }
}

function put(table: Table, keys: Uint32Array, from: number, numberAndOne: number): void {
  const { words } = table
  const place = placeOf(table, keys, from)
  if (words[place + KEY_WORDS] === 0) {
    for (let word = 0; word < KEY_WORDS; word += 1) words[place + word] = keys[from + word] ?? 0
    table.used += 1
  }
  words[place + KEY_WORDS] = numberAndOne
}

/** Where the words of a key stand in a table, or where there is room for them. */
function placeOf({ words, slots }: Table, keys: Uint32Array, from: number): number {
  // By other bits than those by which its table was chosen.
  let slot = (keys[from + 1] ?? 0) & (slots - 1)
  for (;;) {
    const place = slot * SLOT_WORDS
    if (words[place + KEY_WORDS] === 0 || isSame(words, place, keys, from)) return place
    slot = (slot + 1) & (slots - 1)
  }
}

function isSame(words: Uint32Array, place: number, keys: Uint32Array, from: number): boolean {
  for (let word = 0; word < KEY_WORDS; word += 1) {
    if (words[place + word] !== keys[from + word]) return false
  }
  return true
}
