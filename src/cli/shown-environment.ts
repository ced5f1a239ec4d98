import type { Environment } from '../store/store.ts'
import { moment, type OutputOptions, print, printRecord, toSeconds } from './output.ts'

/** What programs are told of an environment, in the words of the admin API. */
export function showEnvironment({ id, name, tag, ...environment }: Environment) {
  return {
    id,
    name,
    tag,
    state: stateOf(environment),
    signingAlgorithm: environment.signingAlgorithm ?? null,
    settings: environment.settings,
    turn: environment.turn === undefined ? null : { urls: environment.turn.urls },
    createdAt: toSeconds(environment.createdAt),
    archivedAt: toSeconds(environment.archivedAt),
  }
}

/** Prints one environment, for people or for programs. */
export function printEnvironment(environment: Environment, { json }: OutputOptions): void {
  if (json) {
    print(JSON.stringify({ environment: showEnvironment(environment) }))
    return
  }
  const { id, name, tag, signingAlgorithm, settings, turn, createdAt, archivedAt } = environment
  printRecord({
    id,
    name,
    tag,
    state: stateOf(environment),
    'signed with': signingAlgorithm ?? 'default',
    settings: Object.keys(settings).length === 0 ? 'default' : JSON.stringify(settings),
    turn: turn?.urls.join(' '),
    created: moment(createdAt),
    archived: moment(archivedAt),
  })
}

export function stateOf({ archivedAt }: Pick<Environment, 'archivedAt'>): 'active' | 'archived' {
  return archivedAt === undefined ? 'active' : 'archived'
}
