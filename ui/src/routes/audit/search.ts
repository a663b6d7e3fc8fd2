/** What the audit log can be searched by. */
import { type Key, type PlainKey, t } from '../../i18n/index.svelte';

export const OPERATIONS = [
  'create',
  'update',
  'delete',
  'pull',
  'push',
  'login',
  'logout',
  'expire',
  'refuse',
] as const;

export const TYPES = [
  'artifact',
  'tag',
  'repository',
  'project',
  'member',
  'user',
  'robot',
  'user_group',
  'label',
  'tag-retention',
  'webhook',
  'immutable-tag',
  'workload-rule',
  'registry',
  'replication-policy',
  'replication',
  'configuration',
  'job',
  'audit-log',
  'blob',
  'api',
  'certificate',
  'import',
  'secrets',
  'storage',
] as const;

/** Fields that are compared as a whole. */
export const FIELDS = ['username', 'project', 'repository', 'tag', 'address', 'user_agent'] as const;
export type Field = (typeof FIELDS)[number];

export const PERIODS = ['hour', 'day', 'week', 'month', 'all'] as const;

const HOURS: Record<string, number> = { hour: 1, day: 24, week: 24 * 7, month: 24 * 30 };

/** When a period began; nothing for all time. */
export function since(period: string, now = Date.now()): Date | undefined {
  const hours = HOURS[period];
  return hours === undefined ? undefined : new Date(now - hours * 3_600_000);
}

/** The moment that a text names, if it names one. */
export function momentOf(text: string): Date | undefined {
  const moment = new Date(text);
  return text && !Number.isNaN(moment.getTime()) ? moment : undefined;
}

const known = (all: readonly string[], name: string) => all.includes(name);

/** An operation's name; those that we do not know keep the server's. */
export function operationText(operation: string): string {
  return known(OPERATIONS, operation) ? t(`audit.operation.${operation}` as Key & PlainKey) : operation;
}

/** The name of a kind of resource. */
export function typeText(type: string): string {
  return known(TYPES, type) ? t(`audit.type.${type}` as Key & PlainKey) : type;
}
