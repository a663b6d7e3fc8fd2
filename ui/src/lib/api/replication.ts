/** Policies that copy artifacts to and from other registries, and their runs. The types follow Harbor's contract. */
import { ApiError, type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';
import type { Registry } from './registry';

export const TRIGGERS = ['manual', 'scheduled', 'event_based'] as const;
export type Trigger = (typeof TRIGGERS)[number];

export interface Filter {
  type: string;
  /** A pattern; for labels their names. */
  value: string | string[];
  decoration?: string;
}

/** Fields that are false, zero or empty may be missing. */
export interface Policy {
  id: number;
  name: string;
  description?: string;
  /** One of the two is another registry; the other one is this. */
  src_registry?: Registry | null;
  dest_registry?: Registry | null;
  dest_namespace?: string;
  /** How many levels of the path the namespace takes the place of; -1: all. */
  dest_namespace_replace_count?: number;
  trigger?: { type?: Trigger; trigger_settings?: { cron?: string } | null } | null;
  filters?: Filter[] | null;
  deletion?: boolean;
  override?: boolean;
  enabled?: boolean;
  /** Kilobits a second for each task; 0 or less: no limit. */
  speed?: number;
  copy_by_chunk?: boolean;
  single_active_replication?: boolean;
  /** How far it is behind; missing while it is disabled. */
  lag_seconds?: number;
}

export interface Execution {
  id: number;
  policy_id: number;
  /** `InProgress`, `Succeed`, `Failed` or `Stopped`. */
  status: string;
  trigger: string;
  start_time: string;
  end_time?: string;
  /** In the server's words. */
  status_text?: string;
  total?: number;
  failed?: number;
  succeed?: number;
  in_progress?: number;
  stopped?: number;
  /** Whether it only says what would be copied. */
  dry_run?: boolean;
}

/** What is done with one repository. */
export interface Task {
  id: number;
  execution_id: number;
  status: string;
  operation?: string;
  resource_type?: string;
  src_resource?: string;
  dst_resource?: string;
  start_time?: string;
  end_time?: string;
  /** Why it failed, in the server's words. */
  status_text?: string;
  /** Tags and digests that were copied, were there already, were deleted, and that point elsewhere there and were left. */
  copied?: number;
  present?: number;
  deleted?: number;
  kept?: number;
  /** Bytes that were moved. */
  bytes?: number;
}

const AT = '/api/v2.0/replication';
const EXT = '/api/ext/v1/replication';

export async function listPolicies(of: Listing, options: Options): Promise<Page<Policy>> {
  const { body, total } = await send<Policy[]>('GET', `${AT}/policies`, { ...options, query: listing(of) });
  return { rows: body, total };
}

export async function getPolicy(id: number, options: Options): Promise<Policy> {
  return (await send<Policy>('GET', `${AT}/policies/${id}`, options)).body;
}

/** A policy as it is made or replaced: registries by their numbers. */
export type WantedPolicy = Omit<Policy, 'id' | 'src_registry' | 'dest_registry'> & {
  src_registry: { id: number } | null;
  dest_registry: { id: number } | null;
};

export async function createPolicy(policy: WantedPolicy): Promise<void> {
  await send('POST', `${AT}/policies`, { json: policy });
}

export async function updatePolicy(id: number, policy: WantedPolicy): Promise<void> {
  await send('PUT', `${AT}/policies/${id}`, { json: { ...policy, id } });
}

export async function deletePolicy(id: number): Promise<void> {
  await send('DELETE', `${AT}/policies/${id}`);
}

/** What runs may be chosen by. */
export interface ExecutionFilter {
  policy_id?: number;
  status?: string;
  trigger?: string;
}

export async function listExecutions(
  filter: ExecutionFilter,
  of: Listing,
  options: Options,
): Promise<Page<Execution>> {
  const query = { ...listing(of), ...filter };
  const { body, total } = await send<Execution[]>('GET', `${AT}/executions`, { ...options, query });
  return { rows: body, total };
}

export async function getExecution(id: number, options: Options): Promise<Execution> {
  return (await send<Execution>('GET', `${AT}/executions/${id}`, options)).body;
}

export async function startExecution(policy: number): Promise<void> {
  await send('POST', `${AT}/executions`, { json: { policy_id: policy } });
}

/** Begins a run that copies nothing, and whose logs say what would be copied. */
export async function startDryRun(policy: number): Promise<void> {
  await send('POST', `${EXT}/policies/${policy}/dry-run`);
}

/** Begins a run of what failed in another one. */
export async function retryExecution(id: number): Promise<void> {
  await send('POST', `${EXT}/executions/${id}/retry`);
}

export async function stopExecution(id: number): Promise<void> {
  await send('PUT', `${AT}/executions/${id}`);
}

export async function listTasks(
  execution: number,
  status: string,
  of: Listing,
  options: Options,
): Promise<Page<Task>> {
  const query = { ...listing(of), status };
  const path = `${AT}/executions/${execution}/tasks`;
  const { body, total } = await send<Task[]>('GET', path, { ...options, query });
  return { rows: body, total };
}

/** The log of a task; none if it has not begun. */
export async function taskLog(task: Task, options: Options): Promise<string> {
  const path = `${AT}/executions/${task.execution_id}/tasks/${task.id}/log`;
  try {
    return String((await send<string>('GET', path, { ...options, headers: { Accept: 'text/plain' } })).body);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return '';
    throw error;
  }
}
