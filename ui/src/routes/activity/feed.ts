/** What happens now: the newest events, as they arrive. */
import type { AuditEvent } from '../../lib/api/audit';

/** How many are kept; older ones are in the audit log. */
export const KEPT = 1000;

/** Kinds of events that the reader may look at alone. */
export const KINDS = ['pull', 'push', 'delete', 'sign', 'refused'] as const;
export type Kind = (typeof KINDS)[number];

/** Newest first, each once. `missed`: there may be others between those that are new and those that were there. */
export function merged(
  before: AuditEvent[],
  arrived: AuditEvent[],
): { events: AuditEvent[]; missed: boolean } {
  const known = new Set(before.map(({ id }) => id));
  const fresh = arrived.filter(({ id }) => !known.has(id));
  const missed = before.length > 0 && fresh.length > 0 && fresh.length === arrived.length;
  const events = [...fresh, ...before].sort((a, b) => Date.parse(b.op_time) - Date.parse(a.op_time));
  return { events: events.slice(0, KEPT), missed };
}

export function isOf(kind: Kind, event: AuditEvent): boolean {
  const done = event.operation_result;
  switch (kind) {
    case 'refused':
      return !done;
    case 'sign':
      return event.operation === 'login' || event.operation === 'logout';
    // What a push makes: an artifact, or another tag of one.
    case 'push':
      return done && event.operation === 'create' && ['artifact', 'tag'].includes(event.resource_type);
    default:
      return done && event.operation === kind;
  }
}

/** Events of the last minutes, by kind, and how many people and robots they are of. */
export function figures(events: AuditEvent[], since: number): Record<Kind | 'users', number> {
  const lately = events.filter(({ op_time }) => Date.parse(op_time) >= since);
  const count = (kind: Kind) => lately.filter((event) => isOf(kind, event)).length;
  return {
    pull: count('pull'),
    push: count('push'),
    delete: count('delete'),
    sign: count('sign'),
    refused: count('refused'),
    users: new Set(lately.map(({ username }) => username)).size,
  };
}
