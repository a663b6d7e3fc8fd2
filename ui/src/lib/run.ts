/** How a run of a job stands, as a state and a word. */
import { t } from '../i18n/index.svelte';

export interface Standing {
  state: 'ok' | 'warn' | 'fail' | 'run' | 'idle';
  text: string;
}

export function standing(status: string): Standing {
  switch (status.toLowerCase()) {
    case 'success':
    case 'succeed':
    case 'finished':
    case 'done':
      return { state: 'ok', text: t('run.success') };
    case 'running':
    case 'inprogress':
      return { state: 'run', text: t('run.running') };
    case 'pending':
    case 'scheduled':
    case 'queued':
      return { state: 'idle', text: t('run.pending') };
    case 'stopped':
    case 'canceled':
    case 'cancelled':
      return { state: 'warn', text: t('run.stopped') };
    case 'error':
    case 'failed':
      return { state: 'fail', text: t('run.failed') };
    default:
      return { state: 'idle', text: status };
  }
}
