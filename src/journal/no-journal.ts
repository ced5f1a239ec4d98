import type { Journal } from './journal.ts'

/** Records nothing. */
export const noJournal: Journal = {
  isAvailable: () => true,
  append: () => undefined,
  refuse: () => undefined,
  alert: () => undefined,
  standing: () => undefined,
  close: async () => undefined,
}
