/** The certificates that the server presents. */
import { send } from '../client';

export interface Certificate {
  days_left: number;
  issuer: string;
  names: string[];
  not_after: string;
  not_before: string;
  serial: string;
  /** `ca`: issued by the registry itself; `files`: put there. */
  source: string;
  warning?: string;
}

const CERTIFICATES = '/api/ext/v1/certificates';

export async function listCertificates(signal: AbortSignal): Promise<Certificate[]> {
  return (await send<Certificate[]>('GET', CERTIFICATES, { signal })).body;
}

/** Loads the files anew; whether another certificate is presented now. */
export async function reloadCertificates(): Promise<boolean> {
  return (await send<{ replaced: boolean }>('POST', `${CERTIFICATES}/reload`)).body.replaced;
}
