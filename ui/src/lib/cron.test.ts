import { expect, test } from 'vitest';
import { CRONS, isCron } from './cron';

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
