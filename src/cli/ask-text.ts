import { type Ask, askSchema } from '../formats/ask.ts'
import { PERMISSIONS } from '../formats/permissions.ts'
import { UsageError } from './input.ts'

/**
 * Reads an ask: `publish:CHANNEL` (or another action), `send`, `peer:GROUP:PEER`, `model:NAME`, or the JSON of the API.
 *
 * @throws UsageError that says what is wrong with it
 */
export function parseAsk(written: string): Ask {
  const found = askSchema.safeParse(written.startsWith('{') ? parseJson(written) : spelledOut(written))
  if (found.success) return found.data
  const faults = found.error.issues.map(({ path, message }) => `${path.join('.') || 'it'} ${message}`)
  throw new UsageError(`--ask is not valid: ${faults.join('; ')}.`)
}

function spelledOut(written: string): object {
  const [, kind = '', rest] = /^(\w+)(?::(.*))?$/s.exec(written) ?? []
  if (kind === 'model') return { model: rest }
  if (kind === 'peer') {
    const [, groupId, peerId] = /^([^:]*):(.*)$/s.exec(rest ?? '') ?? []
    return { groupId: groupId ?? rest ?? '', peerId }
  }
  if (PERMISSIONS.some((action) => action === kind)) return { action: kind, channel: rest }
  throw new UsageError(
    `--ask takes ${PERMISSIONS.join(', ')} with a channel behind a colon, peer:GROUP:PEER, model:NAME, or JSON.`,
  )
}

function parseJson(written: string): unknown {
  try {
    return JSON.parse(written)
  } catch {
    throw new UsageError('--ask holds no valid JSON.')
  }
}
