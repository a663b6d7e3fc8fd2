import { afterEach, expect, test, vi } from 'vitest';
import { importPeople } from './directory';

afterEach(() => vi.unstubAllGlobals());

test('an import that breaks off says what came of it until then', async () => {
  const answers = [
    new Response('[{"uid":"p3","error":"unknown_user"}]', { status: 404 }),
    new Response('{}', { status: 500 }),
  ];
  for (const answer of answers) answer.headers.set('Content-Type', 'application/json');
  const fetch = vi.fn(() => Promise.resolve(answers.shift() ?? new Response('', { status: 200 })));
  vi.stubGlobal('fetch', fetch);
  const names = Array.from({ length: 1200 }, (_, at) => `p${at}`);
  const { failed, left, error } = await importPeople(names);
  expect(failed).toEqual([{ uid: 'p3', error: 'unknown_user' }]);
  expect(left).toEqual(names.slice(500));
  expect(error?.status).toBe(500);
  expect(fetch).toHaveBeenCalledTimes(2);
});
