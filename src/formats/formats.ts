import { channels } from './channels.ts'
import { client } from './client.ts'
import { peer } from './peer.ts'
import { user } from './user.ts'

/** Every token format, in the order of the documentation. */
export const formats = [user, channels, client, peer] as const

/** The names of all formats, as they stand in `fmt`, in grants and on the command line. */
export const formatNames = formats.map(({ name }) => name)

/** What the longest-lived token of any format lives, in seconds: so long its signing key is needed after it signed. */
export const LONGEST_TOKEN_LIFE_SECONDS = Math.max(...formats.map(({ lifetime }) => lifetime.longestSeconds))
