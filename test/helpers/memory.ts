import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// What the program may ask of V8 only with a flag.
setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** What this process holds once everything that nobody holds is gone. */
export function bytesInUse(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
