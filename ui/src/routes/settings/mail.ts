/** The settings of mails as their fields hold them. */
import type { Settings, Value } from '../../lib/api/setting';

export interface Mail {
  external_url: string;
  smtp_host: string;
  smtp_port: string;
  smtp_tls: string;
  smtp_ca: string;
  smtp_user: string;
  /** What is typed: the one that is stored is never shown. */
  smtp_password: string;
  smtp_from: string;
  self_registration: boolean;
}

export function mailOf(stored: Settings): Mail {
  const text = (name: string, otherwise = '') => String(stored[name]?.value ?? otherwise);
  return {
    external_url: text('external_url'),
    smtp_host: text('smtp_host'),
    smtp_port: text('smtp_port', '587'),
    smtp_tls: text('smtp_tls', 'starttls'),
    smtp_ca: text('smtp_ca'),
    smtp_user: text('smtp_user'),
    smtp_password: '',
    smtp_from: text('smtp_from'),
    self_registration: stored.self_registration?.value === true,
  };
}

/** As the server takes them; without a password where none is typed. */
export function wantedMail(mail: Mail): Record<string, Value> {
  const wanted: Record<string, Value> = {
    ...mail,
    smtp_ca: mail.smtp_ca.trim(),
    smtp_port: Number(mail.smtp_port),
  };
  delete wanted.smtp_password;
  return wanted;
}

export function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}
