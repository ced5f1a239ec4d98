/** An answer of ones without an end, and how many bytes of it were taken. */
export function endless() {
  const chunk = new Uint8Array(65_536).fill(0x31)
  const taken = { bytes: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      taken.bytes += chunk.byteLength
      // Of a reader without a bound this test is not to be the victim.
      if (taken.bytes > 100_000_000) controller.close()
      else controller.enqueue(chunk)
    },
    cancel() {
      taken.cancelled = true
    },
  })
  return { taken, response: new Response(body) }
}
