const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const

/**
 * Numbers as a line of blocks, the highest one full. Nothing at all is the lowest block, and anything at least the one
 * above it. More numbers than there is room for are added up, neighbours together.
 *
 * @param width how many blocks at most, 1 or more
 */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.length <= width ? values : addedUp(values, width)
  const highest = Math.max(0, ...shown)
  return shown.map((value) => blockFor(value, highest)).join('')
}

function blockFor(value: number, highest: number): string {
  if (value <= 0) return BLOCKS[0]
  const level = Math.ceil((value / highest) * (BLOCKS.length - 1))
  return BLOCKS[level] ?? BLOCKS[0]
}

function addedUp(values: readonly number[], width: number): number[] {
  const sums = new Array<number>(width).fill(0)
  for (const [index, value] of values.entries()) {
    const place = Math.floor((index * width) / values.length)
    sums[place] = (sums[place] ?? 0) + value
  }
  return sums
}
