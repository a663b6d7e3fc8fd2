/** What is asked for most, of all that there are permissions for. */
import { type Key, type PlainKey, t } from '../../i18n/index.svelte';

export const ACTIONS = [
  'repository:pull',
  'repository:push',
  'repository:delete',
  'artifact:delete',
  'tag:create',
  'tag:delete',
  'artifact-label:create',
  'label:create',
  'immutable-tag:create',
  'member:list',
  'member:create',
  'robot:create',
  'workload-rule:create',
  'metadata:update',
  'log:list',
  'project:delete',
] as const;

/** What an action does, in words; one that we have none for keeps the server's. */
export function actionText(action: string): string {
  const known = ACTIONS.find((one) => one === action);
  return known ? t(`access.action.${known.replace(':', '.')}` as Key & PlainKey) : action;
}
