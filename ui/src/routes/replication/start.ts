/** Starting a policy by hand. */
import { t } from '../../i18n/index.svelte';
import { type Policy, startExecution } from '../../lib/api/replication';
import { ApiError } from '../../lib/client';
import { reason } from '../../lib/fault';
import { done, failed } from '../../lib/toast.svelte';
import { workBegan } from '../../lib/work.svelte';

/** Begins a run and says so. */
export async function start({ id, name }: Policy): Promise<void> {
  try {
    await startExecution(id);
    done(t('replication.started', { name }));
    workBegan();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failed(t('replication.notStarted', { name }), reason(error));
  }
}
