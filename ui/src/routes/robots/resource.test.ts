import { expect, test, vi } from 'vitest';
import { speak } from '../../i18n/index.svelte';
import { resourceText } from './resource';

/** The tables of resources of the server. */
const tables = import.meta.glob<string>('../../../../policy/src/{table,system}.rs', {
  query: '?raw',
  import: 'default',
});

test('every resource of the server has a name', async () => {
  vi.stubGlobal('document', { documentElement: {} });
  await speak('en');
  const sources = await Promise.all(Object.values(tables).map((load) => load()));
  const all = [...sources.join('').matchAll(/^\s+\w+ "([a-z-]+)":/gm)].map((hit) => hit[1] ?? '');
  expect(all).toEqual(expect.arrayContaining(['workload-rule', 'user-group']));
  const nameless = all.filter((one) => [one, `resource.${one}`].includes(resourceText(one)));
  expect(nameless).toEqual([]);
});
