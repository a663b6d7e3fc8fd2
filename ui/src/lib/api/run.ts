/** Work that an administrator starts or schedules: garbage collection, and the purge of the audit log. */
import { ApiError, type Options, send } from '../client';
import type { Kind } from '../cron';
import { type Listing, listing, type Page } from './list';

export type Work = 'gc' | 'purgeaudit';

export interface Run {
  id: number;
  /** `MANUAL` or `SCHEDULE`. */
  job_kind: string;
  /** JSON: what was asked, and what came of it. */
  job_parameters: string;
  job_status: string;
  creation_time: string;
  update_time: string;
}

export interface Schedule {
  kind: Kind;
  cron: string;
  next?: string;
  parameters: Record<string, unknown>;
}

const at = (work: Work) => `/api/v2.0/system/${work}`;

export async function listRuns(work: Work, of: Listing, options: Options): Promise<Page<Run>> {
  const { body, total } = await send<Run[]>('GET', at(work), { ...options, query: listing(of) });
  return { rows: body, total };
}

/** What a run was asked for and what came of it. */
export function parametersOf(run: { job_parameters?: string }): Record<string, unknown> {
  try {
    return JSON.parse(run.job_parameters || '{}') as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Whether a run has not ended. */
export function isActive(run: Run): boolean {
  return ['Pending', 'Running', 'Scheduled'].includes(run.job_status);
}

export async function startRun(work: Work, parameters: Record<string, unknown>): Promise<void> {
  await send('POST', `${at(work)}/schedule`, { json: { schedule: { type: 'Manual' }, parameters } });
}

export async function stopRun(work: Work, id: number): Promise<void> {
  await send('PUT', `${at(work)}/${id}`);
}

/** The log of a run; none if it has not begun. */
export async function runLog(work: Work, id: number, options: Options): Promise<string> {
  const headers = { Accept: 'text/plain' };
  try {
    return String((await send<string>('GET', `${at(work)}/${id}/log`, { ...options, headers })).body);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return '';
    throw error;
  }
}

export async function getSchedule(work: Work, signal: AbortSignal): Promise<Schedule> {
  type Wire = {
    job_parameters?: string;
    schedule?: { type?: Kind; cron?: string; next_scheduled_time?: string };
  };
  const { body } = await send<Wire | ''>('GET', `${at(work)}/schedule`, { signal });
  const schedule = body ? body.schedule : undefined;
  if (!body || !schedule?.cron) return { kind: 'None', cron: '', parameters: {} };
  const { type = 'Custom', cron, next_scheduled_time: next } = schedule;
  return { kind: type, cron, next, parameters: parametersOf(body) };
}

export async function setSchedule(
  work: Work,
  { kind, cron }: Pick<Schedule, 'kind' | 'cron'>,
  parameters: Record<string, unknown>,
): Promise<void> {
  await send('PUT', `${at(work)}/schedule`, { json: { schedule: { type: kind, cron }, parameters } });
}
