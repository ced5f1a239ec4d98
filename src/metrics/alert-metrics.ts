import type { Alerts } from '../alerts/open-alerts.ts'
import type { Renew } from './metrics.ts'
import { Counter, Gauge, type Registry } from './prom-client.ts'

/** What alerts are asked for. */
export interface AlertMetricsDeps {
  readonly alerts: Pick<Alerts, 'standing'>
}

/** Spikes of issuance, and whether their receiver hears of them. */
export function registerAlertMetrics(registry: Registry, { alerts }: AlertMetricsDeps): Renew {
  const registers = [registry]
  const open = new Gauge({
    name: 'jeton_issuance_spikes',
    help: 'Open alerts of issuance, of all processes.',
    registers,
  })
  const raised = new Counter({
    name: 'jeton_issuance_spikes_raised_total',
    help: 'Alerts of issuance that this process has raised.',
    registers,
  })
  const deliveries = new Counter({
    name: 'jeton_alert_deliveries_total',
    help: 'Attempts of this process to deliver a notice of an alert.',
    labelNames: ['result'],
    registers,
  })

  return () => {
    const standing = alerts.standing()
    open.set(standing.open)
    raised.reset()
    raised.inc(standing.raised)
    for (const [result, count] of Object.entries(standing.deliveries)) {
      deliveries.remove({ result })
      deliveries.inc({ result }, count)
    }
  }
}
