import { userInfo } from 'node:os'
import type { Actor } from '../domain/change-record.ts'

/** Who changes something with a command: the system's name of whoever runs it, where it has one for them. */
export function operator(): Actor {
  return { by: 'command line', user: userName() }
}

function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    // A container may run as a number that no name belongs to.
    return undefined
  }
}
