/** Webhooks in words. */
import { t } from '../../i18n/index.svelte';
import type { WebhookState } from '../../lib/api/webhook';

/** The types of events that happen, in the order in which people think of them. */
export const EVENTS = [
  'PUSH_ARTIFACT',
  'PULL_ARTIFACT',
  'DELETE_ARTIFACT',
  'TAG_RETENTION',
  'REPLICATION',
  'QUOTA_WARNING',
  'QUOTA_EXCEED',
] as const;

/** The name of a type; one that we do not know keeps the server's. */
export function eventText(type: string): string {
  const known = EVENTS.find((one) => one === type);
  return known ? t(`webhooks.event.${known}`) : type;
}

/** How the receivers of a policy are, as a state and in words. */
export function receiverState(states: WebhookState[]): { state: string; text: string } {
  if (states.some(({ skipped_since }) => skipped_since))
    return { state: 'fail', text: t('webhooks.skipped') };
  if (states.some(({ failing_since }) => failing_since))
    return { state: 'warn', text: t('webhooks.failing') };
  if (states.some(({ last_error }) => last_error)) return { state: 'warn', text: t('webhooks.refuses') };
  if (states.some(({ last_time }) => last_time)) return { state: 'ok', text: t('webhooks.answers') };
  return { state: 'idle', text: t('webhooks.unused') };
}
