import { expect, test } from 'vitest';
import { conditions } from '../../lib/condition';
import { momentOf, since } from './search';

test('periods end now', () => {
  const now = Date.UTC(2026, 10, 22, 9, 14);
  expect(since('day', now)?.toISOString()).toBe('2026-11-21T09:14:00.000Z');
  expect(since('all', now)).toBeUndefined();
});

test('a period is a condition without milliseconds', () => {
  const from = new Date(Date.UTC(2026, 10, 22, 9, 14));
  expect(conditions({ op_time: { from } })).toBe('op_time=[2026-11-22T09:14:00~]');
  expect(conditions({ op_time: {} })).toBeUndefined();
});

test('an address may say anything', () => {
  expect(momentOf('')).toBeUndefined();
  expect(momentOf('yesterday')).toBeUndefined();
  expect(momentOf('2026-11-22T09:14:00Z')?.toISOString()).toBe('2026-11-22T09:14:00.000Z');
});
