import { type Disk, type OpenFile, systemDisk } from '../../src/journal/disk.ts'

export interface Faults {
  readonly write?: (file: OpenFile, bytes: Uint8Array) => Promise<number>
  readonly identity?: () => Promise<never>
}

/** The real disk, of which some calls are answered otherwise. */
export function diskWith({ write, identity }: Faults, isBroken = () => true): Disk {
  return {
    ...systemDisk,
    identity: (path) =>
      identity && isBroken() && path.endsWith('.jsonl') ? identity() : systemDisk.identity(path),
    async create(path) {
      const file = await systemDisk.create(path)
      return {
        ...file,
        write: (bytes) => (write && isBroken() ? write(file, bytes) : file.write(bytes)),
        identity: () => (identity && isBroken() ? identity() : file.identity()),
      }
    },
  }
}

/** The real disk, on which the next look for a folder finds none: as somebody who puts another in its place may do it. */
export function losingDisk(): { readonly disk: Disk; lose(): void } {
  let isLost = false
  return {
    lose() {
      isLost = true
    },
    disk: {
      ...systemDisk,
      async identity(path) {
        if (!isLost || path.endsWith('.jsonl')) return await systemDisk.identity(path)
        isLost = false
        throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
      },
    },
  }
}
