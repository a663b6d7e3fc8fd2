/** Policies and their runs in words. */
import { t } from '../../i18n/index.svelte';
import type { Execution, Policy } from '../../lib/api/replication';
import { number } from '../../lib/format';
import { scheduleText } from '../../lib/schedule';

/** What begins a policy. */
export function triggerText({ trigger }: Policy): string {
  const cron = trigger?.trigger_settings?.cron;
  if (trigger?.type === 'event_based') return t('replication.onPush');
  return trigger?.type === 'scheduled' && cron ? scheduleText(cron) : t('run.manual');
}

/** What began a run. */
export function begunText(trigger: string): string {
  switch (trigger.toLowerCase()) {
    case 'scheduled':
    case 'schedule':
      return t('run.scheduled');
    case 'event_based':
    case 'event':
      return t('replication.byEvent');
    default:
      return t('run.manual');
  }
}

/** The pattern of a policy's repositories. */
export function whatOf({ filters }: Policy): string {
  const filter = filters?.find(({ type, decoration }) => type === 'name' && decoration !== 'excludes');
  return String(filter?.value || '**');
}

/** What a policy copies, in a sentence for each part: repositories, tags, labels, kind. */
export function filterTexts({ filters }: Policy): string[] {
  return (filters ?? []).flatMap(({ type, value, decoration }) => {
    const text = [value].flat().join(', ');
    const except = decoration === 'excludes';
    if (text === '') return [];
    switch (type) {
      case 'name':
        return [
          t(except ? 'replication.saidRepositoriesExcept' : 'replication.saidRepositories', {
            pattern: text,
          }),
        ];
      case 'tag':
        return [t(except ? 'replication.saidTagsExcept' : 'replication.saidTags', { pattern: text })];
      case 'label':
        return [t(except ? 'replication.saidLabelsExcept' : 'replication.saidLabels', { names: text })];
      case 'resource':
        return [text === 'image' ? t('replication.images') : t('replication.artifacts')];
      default:
        return [`${type}: ${text}`];
    }
  });
}

/** How far a run has come; nothing before it knows what there is to do. */
export function progressOf({ succeed = 0, failed = 0, stopped = 0, total = 0 }: Execution): string {
  if (total === 0) return '';
  const ended = succeed + failed + stopped;
  return t('replication.progress', { done: number(ended), total: number(total) });
}

export const isActive = ({ status }: { status: string }) =>
  ['inprogress', 'running', 'pending', 'scheduled'].includes(status.toLowerCase());

/** Seconds that something took; nothing while it goes on. */
export function secondsOf({
  start_time,
  end_time,
}: {
  start_time?: string;
  end_time?: string;
}): number | undefined {
  if (!start_time || !end_time || start_time.startsWith('0001') || end_time.startsWith('0001'))
    return undefined;
  return Math.max(0, (Date.parse(end_time) - Date.parse(start_time)) / 1000);
}
