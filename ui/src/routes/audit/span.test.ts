import { expect, test } from 'vitest';
import { barsOf, fieldText, stepOf } from './span';

const at = (text: string) => new Date(`2026-11-${text}Z`);

test('a day is shown by hour, a week by day, an hour not at all', () => {
  expect(stepOf(at('22T09:00:00'), at('23T09:00:00'))).toBe('hour');
  expect(stepOf(at('15T09:00:00'), at('22T09:00:00'))).toBe('day');
  expect(stepOf(at('22T08:00:00'), at('22T09:00:00'))).toBeUndefined();
  expect(stepOf(undefined, at('22T09:00:00'))).toBe('day');
});

test('spans without events are there', () => {
  const points = [{ time: '2026-11-22T07:00:00.000Z', done: 3, refused: 1 }];
  const bars = barsOf(points, 'hour', at('22T05:30:00'), at('22T08:10:00'));
  expect(bars.map(({ done, refused }) => [done, refused])).toEqual([
    [0, 0],
    [0, 0],
    [3, 1],
    [0, 0],
  ]);
  expect(bars[2]?.to.toISOString()).toBe('2026-11-22T08:00:00.000Z');
});

test('without a beginning the last thirty days are shown', () => {
  expect(barsOf([], 'day', undefined, at('22T09:00:00'))).toHaveLength(30);
});

test('a moment in a field is the moment', () => {
  const moment = new Date(2026, 10, 2, 9, 5);
  expect(fieldText(moment)).toBe('2026-11-02T09:05');
  expect(new Date(fieldText(moment))).toEqual(moment);
});
