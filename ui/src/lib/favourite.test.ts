import { beforeEach, expect, test, vi } from 'vitest';

vi.stubGlobal('location', new URL('https://registry.example/ui/'));
const { favourites, loadFavourites, toggleFavourite } = await import('./favourite.svelte');
const { becomeNobody } = await import('./session.svelte');

/** What the server keeps, the lists that it was sent, and what it answers with. */
const server = { kept: ['one'], sent: [] as string[][], broken: false, wait: Promise.resolve() };

vi.stubGlobal('fetch', async (_: string, { method, body }: RequestInit) => {
  const found = [...server.kept];
  await server.wait;
  const headers = { 'Content-Type': 'application/json' };
  if (method === 'GET')
    return new Response(JSON.stringify({ projects: found, repositories: [] }), { headers });
  if (server.broken) return new Response('{}', { status: 500, headers });
  server.kept = (JSON.parse(String(body)) as { projects: string[] }).projects;
  server.sent.push(server.kept);
  return new Response('');
});

beforeEach(() => {
  Object.assign(server, { kept: ['one'], sent: [], broken: false, wait: Promise.resolve() });
  becomeNobody();
});

test('marks of another browser, and those made at the same time, stay', async () => {
  await loadFavourites();
  server.kept = ['one', 'elsewhere'];
  const marks = ['two', 'three', 'one'].map(toggleFavourite);
  expect(favourites()).toEqual(['two', 'three']);
  await Promise.all(marks);
  expect(server.kept).toEqual(['elsewhere', 'two', 'three']);
  expect(favourites()).toEqual(server.kept);
});

test('a mark that was not kept goes, and no other', async () => {
  await loadFavourites();
  server.broken = true;
  const lost = toggleFavourite('two');
  await lost;
  expect(favourites()).toEqual(['one']);
  server.broken = false;
  await toggleFavourite('three');
  expect(server.kept).toEqual(['one', 'three']);
});

test('the next reader neither sees nor keeps what another one marked', async () => {
  let arrive = () => {};
  server.wait = new Promise((resolve) => (arrive = resolve));
  const late = loadFavourites();
  becomeNobody();
  arrive();
  await late;
  expect(favourites()).toBeUndefined();

  await loadFavourites();
  expect(favourites()).toEqual(['one']);
  const marks = ['two', 'three'].map(toggleFavourite);
  becomeNobody();
  await Promise.all(marks);
  expect([favourites(), server.sent]).toEqual([undefined, []]);
});
