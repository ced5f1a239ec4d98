/** Prints a line of a table: what it is about, and a column for each contestant or difference. */
export function printLine([what = '', ...columns]: readonly string[]): void {
  process.stdout.write(
    `${what.padEnd(44)}${columns.map((column) => column.padStart(columnWidth(columns))).join('')}\n`,
  )
}

// Few columns are wide, since they hold spreads.
function columnWidth({ length }: readonly string[]): number {
  return length > 3 ? 15 : 24
}

/** Prints the same measure of two sides, round by round: medians, the median of the rounds' ratios, and their spreads. */
export function printRounds(what: string, first: readonly number[], second: readonly number[]): void {
  const ratios = ratiosOf(first, second)
  printLine([what, median(first).toFixed(), median(second).toFixed(), `× ${median(ratios).toFixed(3)}`])
  printLine(['  of all rounds', spread(first), spread(second), `× ${spread(ratios, 3)}`])
}

/** The second side's measure as a multiple of the first's, in each round. */
export function ratiosOf(first: readonly number[], second: readonly number[]): number[] {
  return second.map((value, round) => value / (first[round] ?? Number.NaN))
}

export function spread(values: readonly number[], digits = 0): string {
  return `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}
