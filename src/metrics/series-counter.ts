import { Counter, type Registry } from './prom-client.ts'

/** What Prometheus is told of a counter. */
interface CounterConfig<Label extends string> {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly Label[]
}

/**
 * A counter for what happens with every token. The library finds a series by a text that it makes of its labels with each
 * count. Here a series is made once, at 0, counts in a number of its own, and tells the library when that is read.
 *
 * @returns makes a series, and gives back what counts one more in it
 */
export function registerSeries<Label extends string>(
  registry: Registry,
  { name, help, labelNames }: CounterConfig<Label>,
): (labels: Readonly<Record<Label, string>>) => () => void {
  const tellings: (() => void)[] = []
  const counter = new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      for (const tell of tellings) tell()
    },
  })
  return (labels) => {
    let untold = 0
    tellings.push(() => {
      counter.inc(labels, untold)
      untold = 0
    })
    return () => {
      untold += 1
    }
  }
}
