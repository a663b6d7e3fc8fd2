import { expect, test } from 'vitest';
import type { Job } from './api/job';
import { jobOutcome } from './job-name';

const job = (more: Partial<Job>) => more as Job;

test('the outcome of a job is its error, else its result, unless that is for programs', () => {
  expect(jobOutcome(job({ last_error: 'no route', result: '3 accounts' }))).toBe('no route');
  expect(jobOutcome(job({ result: '3 accounts' }))).toBe('3 accounts');
  expect(jobOutcome(job({ result: '{"freed_space":0}' }))).toBe('');
  expect(jobOutcome(job({}))).toBe('');
});
