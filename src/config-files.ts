import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A certificate and its private key, both PEM. */
export interface Tls {
  readonly cert: string
  readonly key: string
}

/**
 * Reads the two files that HTTPS needs. What is wrong with them goes to `faults`.
 *
 * @param now unix milliseconds, which the certificate must outlive
 */
export function readTls(
  certFile: string | undefined,
  keyFile: string | undefined,
  now: number,
  faults: string[],
): Tls | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile === undefined || keyFile === undefined) {
    faults.push('TLS_CERT_FILE and TLS_KEY_FILE go together; one of them is not set')
    return undefined
  }
  const cert = readText('TLS_CERT_FILE', certFile, faults)
  const key = readText('TLS_KEY_FILE', keyFile, faults)
  if (cert === undefined || key === undefined) return undefined
  const fault = tlsFault(cert, key, now)
  if (fault !== undefined) faults.push(fault)
  return { cert, key }
}

function tlsFault(cert: string, key: string, now: number): string | undefined {
  try {
    const certificate = new X509Certificate(cert)
    if (certificate.validToDate.getTime() <= now) {
      return `TLS_CERT_FILE expired at ${certificate.validToDate.toISOString()}`
    }
    return certificate.checkPrivateKey(createPrivateKey(key))
      ? undefined
      : 'TLS_KEY_FILE does not belong to the certificate in TLS_CERT_FILE'
  } catch {
    // The reason that OpenSSL gives can repeat parts of the file.
    return 'TLS_CERT_FILE and TLS_KEY_FILE are not a certificate and an unencrypted private key in PEM'
  }
}

/** Reads a file that a variable names. Why it cannot be read goes to `faults`. */
export function readText(name: string, path: string, faults: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    faults.push(`${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
