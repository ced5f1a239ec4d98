import { type ErrorCode, errorCatalogue } from '../domain/errors.ts'
import { formatNames } from '../formats/formats.ts'
import { TURN_FORMAT } from '../mint/turn.ts'
import { Counter, type Registry } from './prom-client.ts'
import { registerSeries } from './series-counter.ts'

/** What became of requests for tokens, TURN credentials among them. */
export interface TokenCounts {
  /** Counts a token of this format that was recorded and leaves. */
  issued(format: string): void
  /** Counts a request for a token of this format that was refused. */
  refused(format: string, code: ErrorCode): void
}

/** Tokens that left and requests for one that were refused, whoever sent them. */
export function registerTokenMetrics(registry: Registry): TokenCounts {
  const seriesOf = registerSeries(registry, {
    name: 'jeton_tokens_issued_total',
    help: 'Tokens and TURN credentials that were issued.',
    labelNames: ['format'],
  })
  const refusals = new Counter({
    name: 'jeton_token_refusals_total',
    help: 'Requests for tokens that were refused, callers without a living key included.',
    labelNames: ['format', 'code'],
    registers: [registry],
  })
  // All of them at 0 from the start: Prometheus does not see the first step of a series that begins with it.
  const counts = new Map<string, () => void>()
  for (const format of [...formatNames, TURN_FORMAT]) {
    counts.set(format, seriesOf({ format }))
    for (const code of Object.keys(errorCatalogue)) refusals.inc({ format, code }, 0)
  }

  return {
    issued: (format) => counts.get(format)?.(),
    refused: (format, code) => refusals.inc({ format, code }),
  }
}
