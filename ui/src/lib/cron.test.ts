import { expect, test } from 'vitest';
import { CRONS, isCron, kindOf, meaningOf } from './cron';

test('what the server takes as a schedule', () => {
  for (const text of [CRONS.Hourly, CRONS.Daily, CRONS.Weekly, '0 */15 2-4 1,15 jan-mar mon-fri'])
    expect(isCron(text), text).toBe(true);
});

test('what it does not', () => {
  for (const text of [
    '',
    '0 0 0 * *',
    '5 0 0 * * *',
    '0 60 * * * *',
    '0 0 * * * */0',
    '@daily',
    '0 0 0 * * x',
  ])
    expect(isCron(text), text).toBe(false);
});

test.each([
  ['0 */15 * * * *', { every: 'minutes', count: 15 }],
  ['0 0/30 * * * ?', { every: 'minutes', count: 30 }],
  ['0 * * * * *', { every: 'minutes', count: 1 }],
  [CRONS.Hourly, { every: 'hour', minute: 0 }],
  ['0 0 */6 * * *', { every: 'hours', count: 6 }],
  ['0 30 2 * * *', { every: 'day', time: '02:30' }],
  [CRONS.Weekly, { every: 'week', weekday: 0, time: '00:00' }],
  ['0 5 23 * * 7', { every: 'week', weekday: 0, time: '23:05' }],
  ['0 0 4 1 * *', { every: 'month', day: 1, time: '04:00' }],
])('%s in few words', (cron, meaning) => expect(meaningOf(cron)).toEqual(meaning));

test.each([
  '0 */7 * * * *',
  '0 0 */5 * * *',
  '0 30 */6 * * *',
  '0 0 4 1 * 1',
  '0 0 4 * jan *',
  '0 0 4 * * mon-fri',
  '0 1,2 4 * * *',
  'no schedule',
])('%s needs its fields', (cron) => expect(meaningOf(cron)).toBeUndefined());

test('a schedule is of the kind that has its text', () => {
  expect(kindOf('')).toBe('None');
  expect(kindOf(CRONS.Daily)).toBe('Daily');
  expect(kindOf(' 0 0 0 * * 0 ')).toBe('Weekly');
  expect(kindOf('0 30 2 * * *')).toBe('Custom');
});
