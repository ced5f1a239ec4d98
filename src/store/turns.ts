/** One after another, in the order of their asking, and none waits longer than its patience. */
export interface Turns {
  /** Resolves when it is the caller's turn, which it has to end. Rejects with what `refuse` makes when it takes too long. */
  take(): Promise<void>
  end(): void
}

export function createTurns(patienceMs: number, refuse: () => Error): Turns {
  const waiting = new Set<() => void>()
  let isTaken = false

  return {
    async take() {
      if (isTaken) await handedOver()
      isTaken = true
    },
    end() {
      const [next] = waiting
      if (next === undefined) isTaken = false
      else next()
    },
  }

  // The turn stays taken in between, so that nobody slips in before the one who has waited.
  function handedOver(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      waiting.delete(go)
      reject(refuse())
    }, patienceMs)
    waiting.add(go)
    return promise

    function go(): void {
      waiting.delete(go)
      clearTimeout(timer)
      resolve()
    }
  }
}
