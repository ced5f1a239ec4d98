/** A list in its pool. Stays valid until `append` gives back another one. */
export type TimeList = number

/** Many short lists of moments, oldest first. Moments are milliseconds and never go back within a list. */
export interface TimeLists {
  create(): TimeList
  length(list: TimeList): number
  at(list: TimeList, index: number): number
  /** Adds a moment; the list may move, so use the one that is given back from then on. */
  append(list: TimeList, moment: number): TimeList
  /** Drops the moments up to and including `moment`. */
  dropUntil(list: TimeList, moment: number): void
  dropLast(list: TimeList): void
}

/** The moments that a list holds before it first moves: the default limit, so that there it never does. */
const SMALLEST_CAPACITY = 10
const GROWTH = 4
/** Capacities up to 10 · 4^15: more than any limit that can be configured. */
const POOLS = 16
/** Numbers in one chunk, or as many as one list needs: long lists must not be reserved by the thousand. */
const CHUNK_LENGTH = 11_264

/**
 * Lists of like capacity lie in few large arrays outside the garbage-collected heap: a list of ten takes 88 bytes
 * and gives the collector nothing to walk.
 */
export function createTimeLists(): TimeLists {
  const pools = Array.from({ length: POOLS }, (_, index) => createPool(SMALLEST_CAPACITY * GROWTH ** index))

  return { create, length, at, append, dropUntil, dropLast }

  function create(): TimeList {
    return allocate(0)
  }

  function length(list: TimeList): number {
    return poolOf(list).read(slotOf(list), 0)
  }

  function at(list: TimeList, index: number): number {
    return poolOf(list).read(slotOf(list), index + 1)
  }

  function append(list: TimeList, moment: number): TimeList {
    const roomy = length(list) < poolOf(list).capacity ? list : grow(list)
    const used = length(roomy)
    poolOf(roomy).write(slotOf(roomy), used + 1, moment)
    setLength(roomy, used + 1)
    return roomy
  }

  function dropUntil(list: TimeList, moment: number): void {
    const used = length(list)
    let gone = 0
    while (gone < used && at(list, gone) <= moment) gone += 1
    if (gone === 0) return
    poolOf(list).shift(slotOf(list), gone, used)
    setLength(list, used - gone)
  }

  function dropLast(list: TimeList): void {
    setLength(list, length(list) - 1)
  }

  function grow(list: TimeList): TimeList {
    const larger = allocate((list % POOLS) + 1)
    const used = length(list)
    for (let index = 1; index <= used; index += 1) {
      poolOf(larger).write(slotOf(larger), index, poolOf(list).read(slotOf(list), index))
    }
    setLength(larger, used)
    poolOf(list).free(slotOf(list))
    return larger
  }

  function allocate(poolIndex: number): TimeList {
    const list = poolAt(poolIndex).allocate() * POOLS + poolIndex
    setLength(list, 0)
    return list
  }

  function setLength(list: TimeList, used: number): void {
    poolOf(list).write(slotOf(list), 0, used)
  }

  function poolOf(list: TimeList): Pool {
    return poolAt(list % POOLS)
  }

  function poolAt(index: number): Pool {
    const pool = pools[index]
    if (pool === undefined) throw new RangeError('A list of moments cannot grow further')
    return pool
  }
}

function slotOf(list: TimeList): number {
  return Math.floor(list / POOLS)
}

/** Slots of `capacity` moments each, with their number before them. */
interface Pool {
  readonly capacity: number
  allocate(): number
  free(slot: number): void
  read(slot: number, index: number): number
  write(slot: number, index: number, value: number): void
  /** Moves the moments after the first `gone` of `used` to the front. */
  shift(slot: number, gone: number, used: number): void
}

function createPool(capacity: number): Pool {
  const size = capacity + 1
  const listsPerChunk = Math.max(1, Math.floor(CHUNK_LENGTH / size))
  const chunks: Float64Array[] = []
  const freed: number[] = []
  let allocated = 0

  return {
    capacity,
    allocate() {
      const reused = freed.pop()
      if (reused !== undefined) return reused
      if (allocated % listsPerChunk === 0) chunks.push(new Float64Array(listsPerChunk * size))
      allocated += 1
      return allocated - 1
    },
    free: (slot) => freed.push(slot),
    read: (slot, index) => chunkOf(slot)[startOf(slot) + index] ?? 0,
    write(slot, index, value) {
      chunkOf(slot)[startOf(slot) + index] = value
    },
    shift(slot, gone, used) {
      const first = startOf(slot) + 1
      chunkOf(slot).copyWithin(first, first + gone, first + used)
    },
  }

  function chunkOf(slot: number): Float64Array {
    const chunk = chunks[Math.floor(slot / listsPerChunk)]
    if (chunk === undefined) throw new RangeError('No such list of moments')
    return chunk
  }

  function startOf(slot: number): number {
    return (slot % listsPerChunk) * size
  }
}
