/** What the registry does in the background, for those who are told: system administrators. */
import { t } from '../i18n/index.svelte';
import { getJob, type Job, listJobs } from './api/job';
import type { Options } from './client';
import { conditions } from './condition';
import { jobName } from './job-name';
import { done, failed } from './toast.svelte';

/** Grows when somebody begins work: whoever shows it looks at once. */
let begun = $state(0);

export function workBegan(): void {
  begun += 1;
}

/** The jobs that run now, without those that always do. */
export async function runningWork(options: Options): Promise<Job[]> {
  void begun;
  const q = conditions({ status: { is: 'running' } });
  const { rows } = await listJobs({ page: 1, pageSize: 50, sort: '-id', q }, options);
  return rows.filter((job) => !job.standing);
}

/** Says how jobs ended that ran before and do not run now. */
export async function tellEnds(before: Job[], now: Job[], options: Options): Promise<void> {
  const ended = before.filter(({ id }) => !now.some((job) => job.id === id));
  for (const { id, kind } of ended) {
    const job = await getJob(id, options);
    if (job.status === 'done') done(t('work.ended', { name: jobName(kind) }), job.result ?? undefined);
    else if (job.status === 'failed')
      failed(t('work.failed', { name: jobName(kind) }), job.last_error ?? undefined);
  }
}
