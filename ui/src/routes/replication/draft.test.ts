import { expect, test } from 'vitest';
import type { Policy } from '../../lib/api/replication';
import { asStored, draftOf, namesOf, onWire, otherOf, targetPath } from './draft';

const local = { id: 0, name: 'Local', type: 'harbor', url: 'http://127.0.0.1' };
const other = { id: 7, name: 'eu', type: 'harbor', url: 'https://eu.example' };

/** As the server answers: nothing that is false or empty, registries as whole objects. */
const stored: Policy = {
  id: 1,
  name: 'rep',
  src_registry: other,
  dest_registry: local,
  dest_namespace: 'mirror',
  dest_namespace_replace_count: 1,
  filters: [
    { type: 'name', value: 'gold/**' },
    { type: 'tag', value: 'v*', decoration: 'excludes' },
    { type: 'label', value: ['stable', 'signed'] },
    { type: 'tag', value: 'v1*', decoration: 'matches' },
    { type: 'tag', value: 'v1.2*' },
    { type: 'resource', value: 'image' },
  ],
  trigger: { type: 'scheduled', trigger_settings: { cron: '0 30 2 * * *' } },
  deletion: true,
  enabled: true,
  speed: 800,
  single_active_replication: true,
};

test('a stored policy goes back as it came', () => {
  expect(onWire(draftOf(stored))).toEqual({
    name: 'rep',
    description: '',
    src_registry: { id: 7 },
    dest_registry: null,
    dest_namespace: 'mirror',
    dest_namespace_replace_count: 1,
    filters: [
      { type: 'name', value: 'gold/**' },
      { type: 'tag', value: 'v1*', decoration: 'matches' },
      { type: 'tag', value: 'v*', decoration: 'excludes' },
      { type: 'label', value: ['stable', 'signed'], decoration: 'matches' },
      { type: 'tag', value: 'v1.2*' },
      { type: 'resource', value: 'image' },
    ],
    trigger: { type: 'scheduled', trigger_settings: { cron: '0 30 2 * * *' } },
    deletion: true,
    override: false,
    enabled: true,
    speed: 800,
    copy_by_chunk: false,
    single_active_replication: true,
  });
});

test('what the server leaves out is off', () => {
  const off = onWire(draftOf({ id: 1, name: 'rep', dest_registry: other }));
  expect(off).toMatchObject({
    enabled: false,
    override: false,
    deletion: false,
    copy_by_chunk: false,
    speed: 0,
  });
  expect(onWire(draftOf({ ...stored, override: true })).override).toBe(true);
});

test('a policy that is only switched keeps all else as it is stored', () => {
  expect(asStored(stored)).toEqual({ ...stored, src_registry: { id: 7 }, dest_registry: { id: 0 } });
});

test('a new policy is enabled and copies here to there', () => {
  const draft = draftOf(undefined);
  expect(draft).toMatchObject({
    enabled: true,
    override: true,
    push: true,
    registry: 0,
    trigger: 'manual',
    levels: 0,
  });
  expect(onWire({ ...draft, registry: 7 }).dest_registry).toEqual({ id: 7 });
});

test('an event cannot be joined with one run at a time', () => {
  const draft = { ...draftOf(stored), trigger: 'event_based' as const };
  expect(onWire(draft)).toMatchObject({
    single_active_replication: false,
    trigger: { type: 'event_based', trigger_settings: {} },
  });
});

test('the other registry is the one that has a number', () => {
  expect(otherOf(stored)).toEqual({ push: false, registry: other });
  expect(otherOf({ id: 2, name: 'x', src_registry: local, dest_registry: other })).toEqual({
    push: true,
    registry: other,
  });
  expect(otherOf({ id: 2, name: 'x', src_registry: null, dest_registry: other }).push).toBe(true);
});

test('names of labels stand between commas', () => {
  expect(namesOf(' a, b c，d,,')).toEqual(['a', 'b c', 'd']);
});

test.each([
  ['', 0, 'a/b/c/image'],
  ['n', -1, 'n/image'],
  ['n', 0, 'n/a/b/c/image'],
  ['n', 1, 'n/b/c/image'],
  ['n', 2, 'n/c/image'],
  ['n', 3, 'n/image'],
  ['n', 4, undefined],
])('below %j with %i levels', (namespace, levels, path) => {
  expect(targetPath('a/b/c/image', namespace, levels)).toBe(path);
});
