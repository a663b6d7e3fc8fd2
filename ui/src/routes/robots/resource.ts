/** The names of resources that robots are given rights on. */
import { t } from '../../i18n/index.svelte';

const KNOWN = [
  'accessory',
  'artifact',
  'artifact-addition',
  'artifact-label',
  'audit-log',
  'catalog',
  'configuration',
  'export-cve',
  'garbage-collection',
  'immutable-tag',
  'jobservice-monitor',
  'label',
  'ldap-user',
  'log',
  'member',
  'metadata',
  'notification-policy',
  'preheat-instance',
  'preheat-policy',
  'project',
  'purge-audit',
  'quota',
  'registry',
  'replication',
  'replication-adapter',
  'replication-policy',
  'repository',
  'robot',
  'sbom',
  'scan',
  'scan-all',
  'scanner',
  'security-hub',
  'system-volumes',
  'tag',
  'tag-retention',
  'user',
  'user-group',
  'workload-rule',
] as const;

/** A resource's name; one that we do not know keeps the server's. */
export function resourceText(resource: string): string {
  const known = KNOWN.find((name) => name === resource);
  return known ? t(`resource.${known}`) : resource;
}
