import { gateCodes } from '../domain/verdict.ts'
import type { Gate } from '../gate/gate.ts'
import type { Revocations } from '../gate/revocations.ts'
import type { Renew } from './metrics.ts'
import { Counter, Gauge, type Registry } from './prom-client.ts'

/** The code of what was let in. */
const ALLOWED = 'allowed'

/** What the gate decided. Gives back what makes of a gate one whose decisions are counted. */
export function registerGateMetrics(registry: Registry): (gate: Gate) => Gate {
  const decisions = new Counter({
    name: 'jeton_gate_decisions_total',
    help: 'Decisions about presented tokens and publishable keys: allowed, or the code of the refusal.',
    labelNames: ['code'],
    registers: [registry],
  })
  for (const code of [ALLOWED, ...Object.keys(gateCodes)]) decisions.inc({ code }, 0)

  return (gate) => ({
    ...gate,
    verify(environment, presentation) {
      const decision = gate.verify(environment, presentation)
      decisions.inc({ code: decision.allowed ? ALLOWED : decision.code })
      return decision
    },
  })
}

/** What the gate is asked for when the metrics are read. */
export interface RevocationMetricsDeps {
  readonly revocations: Pick<Revocations, 'countLiving'>
}

/** Revocations whose tokens could still be alive. */
export function registerRevocationMetrics(registry: Registry, { revocations }: RevocationMetricsDeps): Renew {
  const living = new Gauge({
    name: 'jeton_revocations',
    help: 'Revocations whose tokens could still be alive.',
    registers: [registry],
  })
  return () => living.set(revocations.countLiving())
}
