import { expect, test } from 'vitest';
import { each } from './bulk';
import { ApiError } from './client';

test('all are tried, six at once, and those that failed come back in order', async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  const failures = await each(
    [...Array(20).keys()],
    async (item) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 20 - item));
      running -= 1;
      if (item % 7 === 0) throw new ApiError(403, 'FORBIDDEN', '');
    },
    (count) => done.push(count),
  );
  expect(most).toBe(6);
  expect(done.at(-1)).toBe(20);
  expect(failures.map(({ item }) => item)).toEqual([0, 7, 14]);
});
