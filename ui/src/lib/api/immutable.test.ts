import { afterEach, expect, test, vi } from 'vitest';
import { type ImmutableRule, updateRule, wanted } from './immutable';

/** What a change of a rule sends. */
async function sent(rule: ImmutableRule, change: Partial<ReturnType<typeof wanted>>): Promise<unknown> {
  const fetch = vi.fn((_: string, init: RequestInit) => Promise.resolve(new Response(String(init.body))));
  vi.stubGlobal('fetch', fetch);
  await updateRule('platform', rule, { ...wanted(rule), ...change });
  return JSON.parse(String(fetch.mock.calls[0]?.[1].body));
}
afterEach(() => vi.unstubAllGlobals());

const tags = { kind: 'doublestar', decoration: 'matches', pattern: 'v*', extras: 'noted' } as const;

test('a rule without a selector covers nothing, and goes on to when it is disabled', async () => {
  const rule: ImmutableRule = { id: 7, tag_selectors: [tags] };
  expect(wanted(rule)).toMatchObject({ tags: 'v*', repositories: '' });
  expect(await sent(rule, { disabled: true })).toEqual({ ...rule, disabled: true });
});

test('an empty pattern is all, and only what is changed is written anew', async () => {
  const every = { kind: 'doublestar', decoration: 'repoMatches' } as const;
  const rule: ImmutableRule = {
    id: 7,
    disabled: false,
    tag_selectors: [tags],
    scope_selectors: { repository: [every] },
  };
  expect(wanted(rule).repositories).toBe('**');
  expect(await sent(rule, { tags: 'w*' })).toEqual({
    ...rule,
    tag_selectors: [{ kind: 'doublestar', decoration: 'matches', pattern: 'w*' }],
  });
});
