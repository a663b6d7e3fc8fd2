import { expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/api/audit';
import { figures, isOf, KEPT, merged } from './feed';

const event = (id: number, more: Partial<AuditEvent> = {}): AuditEvent => ({
  id,
  op_time: new Date(1_000_000 + id * 1000).toISOString(),
  username: 'dev',
  operation: 'pull',
  operation_result: true,
  resource: 'platform/app:1',
  resource_type: 'artifact',
  ...more,
});
const ids = (events: AuditEvent[]) => events.map(({ id }) => id);

test('events are there once, newest first', () => {
  const { events, missed } = merged([event(3), event(2)], [event(5), event(3)]);
  expect(ids(events)).toEqual([5, 3, 2]);
  expect(missed).toBe(false);
});

test('what came too fast is told of', () => {
  expect(merged([event(1)], [event(9), event(8)]).missed).toBe(true);
  expect(merged([], [event(9), event(8)]).missed).toBe(false);
});

test('no more are kept than a page can show', () => {
  const many = Array.from({ length: KEPT + 5 }, (_, at) => event(KEPT + 5 - at));
  expect(merged([], many).events).toHaveLength(KEPT);
});

test('figures are of the last minutes', () => {
  const events = [event(9, { operation: 'create' }), event(8, { operation_result: false }), event(1)];
  const found = figures(events, 1_005_000);
  expect(found).toMatchObject({ push: 1, pull: 0, refused: 1, users: 1 });
  expect(isOf('sign', event(1, { operation: 'login' }))).toBe(true);
});
