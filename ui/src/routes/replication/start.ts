/** Starting a policy by hand. */
import { t } from '../../i18n/index.svelte';
import { type Policy, retryExecution, startDryRun, startExecution } from '../../lib/api/replication';
import { ApiError } from '../../lib/client';
import { reason } from '../../lib/fault';
import { done, failed } from '../../lib/toast.svelte';
import { workBegan } from '../../lib/work.svelte';

/** Begins a run and says so; whether it has begun. */
export const start = ({ id, name }: Policy): Promise<boolean> => begin(name, () => startExecution(id));

/** Begins a run that copies nothing. */
export const startDry = ({ id, name }: Policy): Promise<boolean> => begin(name, () => startDryRun(id));

/** Begins a run of what failed in another one. */
export const retry = ({ name }: Policy, run: number): Promise<boolean> =>
  begin(name, () => retryExecution(run));

async function begin(name: string, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    done(t('replication.started', { name }));
    workBegan();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failed(t('replication.notStarted', { name }), reason(error));
    return false;
  }
}
