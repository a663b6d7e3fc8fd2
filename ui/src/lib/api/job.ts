/** Background work as a whole: queues, workers, schedules. */
import { type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';

export interface JobQueue {
  job_type: string;
  /** How many wait. */
  count: number;
  /** Seconds that the oldest has waited. */
  latency: number;
  paused: boolean;
}

export interface Worker {
  id: string;
  pool_id: string;
  /** Not there while it is idle. */
  job_name?: string;
  job_id?: string;
  start_at?: string;
}

export interface ScheduleTask {
  id: number;
  vendor_type: string;
  cron: string;
  update_time: string;
}

/** A job of any kind, as our own operations have it. */
export interface Job {
  id: number;
  kind: string;
  /** `queued`, `running`, `done`, `failed` or `cancelled`. */
  status: string;
  /** Always there: queued again after each run. */
  standing: boolean;
  attempts: number;
  creation_time: string;
  due_time: string;
  start_time?: string | null;
  end_time?: string | null;
  /** What it is doing, in the server's words. */
  progress?: string | null;
  result?: string | null;
  last_error?: string | null;
}

const JOBS = '/api/v2.0/jobservice';

export async function listQueues(options: Options): Promise<JobQueue[]> {
  return (await send<JobQueue[]>('GET', `${JOBS}/queues`, options)).body;
}

export async function listWorkers(options: Options): Promise<Worker[]> {
  return (await send<Worker[]>('GET', `${JOBS}/pools/all/workers`, options)).body;
}

export type QueueAct = 'stop' | 'pause' | 'resume';

/** Acts on a queue; `all` for every one. `stop` drops what waits. */
export async function actOnQueue(queue: string, action: QueueAct): Promise<void> {
  await send('PUT', `${JOBS}/queues/${encodeURIComponent(queue)}`, { json: { action } });
}

export async function stopJob(id: string): Promise<void> {
  await send('PUT', `${JOBS}/jobs/${encodeURIComponent(id)}`);
}

export async function jobLog(id: string, options: Options): Promise<string> {
  const headers = { Accept: 'text/plain' };
  const path = `${JOBS}/jobs/${encodeURIComponent(id)}/log`;
  return String((await send<string>('GET', path, { ...options, headers })).body);
}

export async function listSchedules(of: Listing, signal: AbortSignal): Promise<Page<ScheduleTask>> {
  const { body, total } = await send<ScheduleTask[]>('GET', '/api/v2.0/schedules', {
    query: listing(of),
    signal,
  });
  return { rows: body, total };
}

/** The next times at which a schedule runs, in UTC. */
export async function nextRuns(cron: string, signal: AbortSignal): Promise<string[]> {
  const options = { query: { cron }, signal };
  return (await send<{ next: string[] }>('GET', '/api/ext/v1/schedules/next', options)).body.next;
}

/** All jobs, of every kind. */
export async function listJobs(of: Listing, options: Options): Promise<Page<Job>> {
  const asked = { ...options, query: listing(of) };
  const { body, total } = await send<Job[]>('GET', '/api/ext/v1/jobs', asked);
  return { rows: body, total };
}

/** A job by its id. */
export async function getJob(id: number, options: Options): Promise<Job> {
  return (await send<Job>('GET', `/api/ext/v1/jobs/${id}`, options)).body;
}
