import { beforeAll, expect, test } from 'vitest';
import { speak } from '../../i18n/index.svelte';
import { type RetentionRule, ruleDraft, ruleOnWire } from '../../lib/api/retention';
import { plain } from '../../lib/rich';
import { verdictsOf } from './result';
import { countOf, keepText, reasonText, scopeText } from './words';

beforeAll(async () => {
  globalThis.document = { documentElement: {} } as Document;
  await speak('en');
});

/** As the server answers: nothing that is false. */
const stored: RetentionRule = {
  id: 3,
  priority: 1,
  action: 'retain',
  template: 'latestPushedK',
  params: { latestPushedK: 10 },
  tag_selectors: [
    { kind: 'doublestar', decoration: 'matches', pattern: 'v*', extras: '{"untagged":false}' },
    { kind: 'doublestar', decoration: 'excludes', pattern: '*-rc' },
  ],
  scope_selectors: {
    repository: [{ kind: 'doublestar', decoration: 'repoExcludes', pattern: 'base/**' }],
  },
};

test('a stored rule goes back as it came', () => {
  expect(ruleOnWire(ruleDraft(stored), stored)).toEqual({ ...stored, disabled: false });
});

test('untagged artifacts count where the rule says nothing and takes what matches', () => {
  const [first] = stored.tag_selectors ?? [];
  const bare = (decoration: string): RetentionRule => ({
    ...stored,
    tag_selectors: first ? [{ ...first, decoration, extras: undefined }] : [],
  });
  expect(ruleDraft(bare('matches')).untagged).toBe(true);
  expect(ruleDraft(bare('excludes')).untagged).toBe(false);
  expect(ruleDraft({ ...stored, tag_selectors: null })).toMatchObject({ tags: '**', untagged: true });
});

test('a rule that keeps all has no parameter', () => {
  const draft = { ...ruleDraft(stored), template: 'always' };
  expect(ruleOnWire(draft).params).toEqual({});
  expect(plain(keepText(draft))).toBe('Keep all artifacts');
});

test('rules read as sentences', () => {
  const draft = ruleDraft(stored);
  expect(plain(keepText(draft))).toBe('Keep the 10 artifacts that were pushed last');
  expect(plain(keepText({ ...draft, count: 1 }))).toBe('Keep the 1 artifact that was pushed last');
  expect(plain(keepText({ ...draft, template: 'nDaysSinceLastPull', count: 30 }))).toBe(
    'Keep artifacts pulled within the last 30 days',
  );
  expect(keepText({ ...draft, template: 'lastXDays', count: 7 })).toBe('lastXDays 7');
  expect(plain(scopeText(draft))).toBe('Tags v* in all repositories but base/**');
});

test('counts have bounds', () => {
  expect(countOf('10', 'latestPushedK')).toBe(10);
  for (const bad of ['', '0', '-1', '1.5', 'x', '32767', '123456789'])
    expect(countOf(bad, 'latestPushedK'), bad).toBeUndefined();
  expect(countOf('32767', 'nDaysSinceLastPush')).toBe(32_767);
});

test('the table in a log says what became of each artifact', () => {
  const log = `2026-11-23T00:55:53Z [INFO] [/job.go:1]: Run retention process.
 Repository: gold/app
2026-11-23T00:55:54Z [INFO] [/job.go:9]:
+----------------+-------+-------+--------+-------------+------------+-------------+-----------+
|     Digest     |  Tag  | Kind  | Labels | PushedTime  | PulledTime | CreatedTime | Retention |
+----------------+-------+-------+--------+-------------+------------+-------------+-----------+
| sha256:aaaaaaa | a,b   | image |        | 2026/11/23  |            | 2026/11/23  | RETAIN    |
| sha256:bbbbbbb |       | image |        | 2026/11/22  | 2026/11/23 | 2026/11/22  | DEL       |
+----------------+-------+-------+--------+-------------+------------+-------------+-----------+
`;
  expect(verdictsOf(log)).toEqual([
    {
      digest: 'sha256:aaaaaaa',
      tags: 'a,b',
      pushed: '2026/11/23',
      pulled: '',
      verdict: 'RETAIN',
      reason: '',
    },
    {
      digest: 'sha256:bbbbbbb',
      tags: '',
      pushed: '2026/11/22',
      pulled: '2026/11/23',
      verdict: 'DEL',
      reason: '',
    },
  ]);
});

test('a log without a table has no verdicts', () => {
  expect(verdictsOf('')).toEqual([]);
  expect(verdictsOf('a | b\n| only | cells |')).toEqual([]);
});

test('lines of our own log have the time and level before them, and the rule behind', () => {
  const log = `2026-11-30T18:50:00.000Z [INFO] | Digest | Tag | Kind | PushedTime | PulledTime | Retention | Reason |
2026-11-30T18:50:00.001Z [INFO] | sha256:aa | v1,v2 | IMAGE | 2026-11-30T18:49:00Z |  | RETAIN | kept by rule 2 (latestPushedK 3) |
2026-11-30T18:50:00.002Z [INFO] 1 of 1 kept`;
  const [only, ...others] = verdictsOf(log);
  expect(only).toEqual({
    digest: 'sha256:aa',
    tags: 'v1,v2',
    pushed: '2026-11-30T18:49:00Z',
    pulled: '',
    verdict: 'RETAIN',
    reason: 'kept by rule 2 (latestPushedK 3)',
  });
  expect(others).toEqual([]);
});

test('reasons name rules by their numbers', () => {
  expect(reasonText('kept by rule 2 (latestPushedK 3)')).toBe('Rule 2');
  expect(reasonText('selected, but not kept, by rule 1 (latestPushedK 3), rule 12 (lastXDays 3)')).toBe(
    'Not kept by: 1, 12',
  );
  expect(reasonText('no rule selects it')).toBe('No rule is about it');
  expect(reasonText('v1 is immutable')).toBe('v1 is immutable');
});
