/** The certificates that the server presents. */
import { send } from '../client';

export interface Certificate {
  days_left: number;
  /** False if other certificates are shown for all of its names. */
  in_use: boolean;
  issuer: string;
  /** Its file, or its name in the database. */
  label: string;
  names: string[];
  not_after: string;
  not_before: string;
  serial: string;
  /** `ca`: issued by the registry itself; `files`: put there; `import`: stored in the database; `acme`: obtained. */
  source: string;
  warnings: string[];
}

/** Where obtaining a certificate by ACME stands. */
export interface Acme {
  configured: boolean;
  challenge: string;
  directory: string;
  failed_at?: string;
  failures: number;
  message?: string;
  names: string[];
  next_at?: string;
  reason?: string;
  renew_at?: string;
  /** `due`, `ordering`, `valid` or `failed`. */
  state: string;
}

const CERTIFICATES = '/api/ext/v1/certificates';

export async function listCertificates(signal: AbortSignal): Promise<Certificate[]> {
  return (await send<Certificate[]>('GET', CERTIFICATES, { signal })).body;
}

/** Loads the files anew; whether another certificate is presented now. */
export async function reloadCertificates(): Promise<boolean> {
  return (await send<{ replaced: boolean }>('POST', `${CERTIFICATES}/reload`)).body.replaced;
}

export async function getAcme(signal: AbortSignal): Promise<Acme> {
  return (await send<Acme>('GET', `${CERTIFICATES}/acme`, { signal })).body;
}

/** Has a certificate obtained now, whatever the present one is worth. */
export async function orderCertificate(): Promise<void> {
  await send('POST', `${CERTIFICATES}/acme/order`);
}
