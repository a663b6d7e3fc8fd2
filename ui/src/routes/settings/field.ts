/** What stands below the field of a setting. */
import { t } from '../../i18n/index.svelte';
import type { Draft } from './draft.svelte';

/** Why what is typed cannot be saved. */
export function problemOf(draft: Draft, name: string): string | undefined {
  const bounds = draft.bounds(name);
  if (bounds && !draft.fits(name)) return t('config.number', { least: bounds[0], most: bounds[1] });
  return draft.refused?.name === name ? draft.refused.reason : undefined;
}

/** What a setting means, or that it cannot be changed here. */
export function hintOf(draft: Draft, name: string, hint: string | undefined): string | undefined {
  return draft.locked(name) ? t('config.locked') : hint;
}
