import { type ErrorCode, errorCatalogue } from '../domain/errors.ts'
import { formatNames } from '../formats/formats.ts'
import type { Journal } from '../journal/journal.ts'
import { TURN_FORMAT } from '../mint/turn.ts'
import { Counter, type Registry } from './prom-client.ts'

/** What became of requests for tokens, TURN credentials among them. */
export interface TokenCounts {
  /** The same journal; each issuance that it has recorded is counted. */
  counted(journal: Journal): Journal
  /** Counts a request for a token of this format that was refused. */
  refused(format: string, code: ErrorCode): void
}

/** Tokens that left and requests for one that were refused, whoever sent them. */
export function registerTokenMetrics(registry: Registry): TokenCounts {
  const registers = [registry]
  const issued = new Counter({
    name: 'jeton_tokens_issued_total',
    help: 'Tokens and TURN credentials that were issued.',
    labelNames: ['format'],
    registers,
  })
  const refusals = new Counter({
    name: 'jeton_token_refusals_total',
    help: 'Requests for tokens that were refused, callers without a living key included.',
    labelNames: ['format', 'code'],
    registers,
  })
  // All of them at 0 from the start: Prometheus does not see the first step of a series that begins with it.
  for (const format of [...formatNames, TURN_FORMAT]) {
    issued.inc({ format }, 0)
    for (const code of Object.keys(errorCatalogue)) refusals.inc({ format, code }, 0)
  }

  return {
    counted: (journal) => ({
      ...journal,
      append(issuance) {
        const recorded = journal.append(issuance)
        const count = () => issued.inc({ format: issuance.format })
        return recorded === undefined ? count() : recorded.then(count)
      },
    }),
    refused: (format, code) => refusals.inc({ format, code }),
  }
}
