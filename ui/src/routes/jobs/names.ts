/** The names of kinds of work. */
import { t } from '../../i18n/index.svelte';

const KNOWN = [
  'AUDIT_PARTITION',
  'AUDIT_SEAL',
  'EXECUTION_SWEEP',
  'GARBAGE_COLLECTION',
  'GC',
  'PURGE',
  'PURGE_AUDIT_LOG',
  'SCHEDULER',
  'SWEEP',
  'UNTAGGED',
  'UPLOAD_EXPIRY',
] as const;

/** What a kind of work does, in a few words; one that we do not know keeps the server's name, readable. */
export function jobName(type: string): string {
  const known = KNOWN.find((name) => name === type);
  if (known) return t(`jobs.name.${known}`);
  const words = type.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
