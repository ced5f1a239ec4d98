import { channels } from './channels.ts'
import { user } from './user.ts'

/** Every token format, in the order of the documentation. */
export const formats = [user, channels] as const
