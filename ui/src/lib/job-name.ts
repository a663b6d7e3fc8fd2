/** The names of kinds of work, and what came of them. */
import { t } from '../i18n/index.svelte';
import type { Job } from './api/job';

const KNOWN = [
  'AUDIT_FORWARD_HTTP',
  'AUDIT_FORWARD_SYSLOG',
  'ACCOUNT_MAIL',
  'ACME',
  'AUDIT_PARTITION',
  'AUDIT_SEAL',
  'ERASURE',
  'EXECUTION_SWEEP',
  'GARBAGE_COLLECTION',
  'GC',
  'LDAP_READING',
  'OIDC_READING',
  'PURGE',
  'PURGE_AUDIT_LOG',
  'REGISTRY_HEALTH',
  'REGISTRY_NOTIFICATION',
  'REPLICATION',
  'REPLICATION_FOLLOW',
  'REPLICATION_START',
  'RETENTION',
  'ROBOT_EXPIRY',
  'SCHEDULER',
  'STAT_HOUR',
  'SWEEP',
  'UNTAGGED',
  'UPLOAD_EXPIRY',
  'WEBHOOK_FOLLOW',
  'WEBHOOK_SEND',
] as const;

/** Kinds that have another name in Harbor's operations than in our own. */
const OWN: Record<string, string> = {
  gc_run: 'GARBAGE_COLLECTION',
  audit_purge: 'PURGE_AUDIT_LOG',
  prune: 'EXECUTION_SWEEP',
};

/** What a kind of work does, in a few words; one that we do not know keeps the server's name, readable. */
export function jobName(type: string): string {
  const name = OWN[type] ?? type.toUpperCase();
  const known = KNOWN.find((one) => one === name);
  if (known) return t(`jobs.name.${known}`);
  const words = name.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What came of a job, in the server's words; figures that are for programs are shown where the work has a page. */
export function jobOutcome({ last_error, result }: Job): string {
  return last_error ?? (result?.startsWith('{') ? '' : (result ?? ''));
}
