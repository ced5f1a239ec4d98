/**
 * Does something that may take so long and no longer, and that ends with `signal`. `AbortSignal.any` would do, but on a
 * signal that lives as long as the process some versions of Node keep every one that was ever derived from it.
 */
export async function within<Result>(
  seconds: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const over = new AbortController()
  const end = () => over.abort(signal.reason)
  const timer = setTimeout(
    () => over.abort(new Error(`There was no answer within ${seconds} s.`)),
    seconds * 1000,
  )
  timer.unref()
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  try {
    return await work(over.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}
