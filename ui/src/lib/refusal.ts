/** Why a sign-in did not work, as a sentence. */
import { t } from '../i18n/index.svelte';
import type { Refusal } from './session.svelte';

export function refusalText({ refusal, wait }: { refusal: Refusal; wait?: number }): string {
  if (refusal === 'throttled') return t('refusal.throttled', { count: wait ?? 60 });
  return t(`refusal.${refusal}`);
}
