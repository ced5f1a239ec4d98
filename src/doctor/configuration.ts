import { X509Certificate } from 'node:crypto'
import type { Config, ConfigReport } from '../config.ts'
import type { Tls } from '../config-files.ts'
import type { Inspection } from '../store/inspect.ts'
import { type Check, mend, ok } from './check.ts'

const CERTIFICATE_TOLERANCE_MS = 14 * 86_400_000

export function examineConfig({ faults }: ConfigReport): Check[] {
  if (faults.length === 0) return [ok('the configuration is valid')]
  return faults.map((fault) => mend(`configuration: ${fault}`, 'change or set that variable'))
}

export function examineTls(tls: Tls | undefined, now: number): Check[] {
  if (tls === undefined) return []
  try {
    const until = new X509Certificate(tls.cert).validToDate
    const what = `the certificate in TLS_CERT_FILE is valid until ${until.toISOString()}`
    return [
      until.getTime() - now > CERTIFICATE_TOLERANCE_MS ? ok(what) : mend(what, 'renew it and restart Jeton'),
    ]
  } catch {
    // The configuration's own check has said so.
    return []
  }
}

export function examinePublicUrl({ production, publicUrl }: Config): Check[] {
  if (!production) return []
  if (publicUrl.startsWith('https:')) return [ok(`PUBLIC_URL ${publicUrl} is https`)]
  return [mend(`PUBLIC_URL ${publicUrl} is not https`, 'put HTTPS in front and name the https URL')]
}

export function examineAdminKey({ adminKeys }: Config, inspection: Inspection | undefined): Check {
  if (adminKeys.length > 0) return ok('an admin key is configured')
  if (inspection?.hasAdminKey) return ok('an admin key was made at the first start')
  return mend('there is no admin key', 'set ADMIN_KEY: `jeton secrets create` prints one')
}
