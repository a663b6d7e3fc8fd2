/** The audit log: who did what to which resource, and whether it was done. */
import { type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';

export interface AuditEvent {
  id: number;
  op_time: string;
  username: string;
  operation: string;
  operation_description?: string;
  operation_result: boolean;
  resource: string;
  resource_type: string;
}

/** The log of a project by its name, or of all that the reader may see. */
export type Scope = string | undefined;

const at = (project: Scope) =>
  project === undefined
    ? '/api/v2.0/auditlog-exts'
    : `/api/v2.0/projects/${encodeURIComponent(project)}/auditlog-exts`;

export async function listEvents(project: Scope, of: Listing, options: Options): Promise<Page<AuditEvent>> {
  const asked = { ...options, query: listing(of) };
  const { body, total } = await send<AuditEvent[]>('GET', at(project), asked);
  return { rows: body, total };
}

/** Events of a span of time. */
export interface AuditPoint {
  /** When it begins. */
  time: string;
  done: number;
  refused: number;
}

/** How many events there are by hour or day; spans without any are left out. */
export async function countEvents(
  step: 'hour' | 'day',
  q: string | undefined,
  options: Options,
): Promise<AuditPoint[]> {
  const asked = { ...options, query: { step, q } };
  return (await send<{ points: AuditPoint[] }>('GET', '/api/ext/v1/stats/audit', asked)).body.points;
}

/** Where all events that fit are to be had as a file. */
export function exportAddress(format: 'csv' | 'ndjson', q: string | undefined): string {
  const query = new URLSearchParams({ format });
  if (q) query.set('q', q);
  return `/api/ext/v1/audit/export?${query}`;
}

/** All types of events, as `operation_resource`. */
export async function eventTypes(signal: AbortSignal): Promise<string[]> {
  const { body } = await send<{ event_type: string }[]>('GET', '/api/v2.0/auditlog-exts/events', { signal });
  return body.map(({ event_type }) => event_type);
}
