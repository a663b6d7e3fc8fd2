/** What is done to a policy from a list or its own page. */
import { t } from '../../i18n/index.svelte';
import { enableWebhook, testWebhook, type WebhookPolicy } from '../../lib/api/webhook';
import { ApiError } from '../../lib/client';
import { reason, sentence } from '../../lib/fault';
import { done, failed } from '../../lib/toast.svelte';

/** Sends a sample, and says what came of it. */
export async function test(project: string, { id, name }: WebhookPolicy): Promise<void> {
  try {
    const results = await testWebhook(project, id);
    const wrong = results.find(({ error }) => error);
    if (wrong) failed(t('webhooks.notTaken', { name }), wrong.error ?? '');
    else done(t('webhooks.tested', { name }));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failed(t('webhooks.notTaken', { name }), reason(error));
  }
}

/** Switches a policy on or off. */
export async function toggle(project: string, policy: WebhookPolicy): Promise<void> {
  const { name, enabled } = policy;
  try {
    await enableWebhook(project, policy, !enabled);
    done(enabled ? t('webhooks.switchedOff', { name }) : t('webhooks.switchedOn', { name }));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failed(t('webhooks.notChanged', { name }), sentence(error));
  }
}
