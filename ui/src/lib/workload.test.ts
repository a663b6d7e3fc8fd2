import { describe, expect, test } from 'vitest';
import {
  claimsOf,
  claimsText,
  isUnfinished,
  keysOf,
  lifetimeOf,
  minutesText,
  presetOf,
  PRESETS,
} from './workload';

describe('rules for workloads', () => {
  test('claims are lines, and print back', () => {
    const text = 'environment=prod\n/kubernetes.io/namespace=team-*';
    expect(claimsOf(text)).toEqual({ environment: 'prod', '/kubernetes.io/namespace': 'team-*' });
    expect(claimsText(claimsOf(text) ?? {})).toBe(text);
    expect(claimsOf(' a = b=c \n\n')).toEqual({ a: 'b=c' });
    expect(claimsOf('')).toEqual({});
  });

  test('a line that nobody touched is the claim that it was made of', () => {
    const before = { 'a=b': 'c', a: 'b=c', '/spaced': ' x ' };
    expect(claimsOf(claimsText(before), before)).toEqual(before);
    expect(claimsOf(`${claimsText(before)}\nenvironment=prod`, before)).toEqual({
      ...before,
      environment: 'prod',
    });
    expect(claimsOf('a=b=c2', before)).toEqual({ a: 'b=c2' });
  });

  test('a line without name or value is none', () => {
    for (const wrong of ['a', '=b', 'a=', 'a=b\nc']) expect(claimsOf(wrong)).toBeUndefined();
  });

  test('a preset is known by its issuer, and its names are to be replaced', () => {
    expect(presetOf('https://gitlab.com')).toBe('gitlab');
    expect(presetOf('https://gitlab.com/')).toBe('other');
    for (const name of ['github', 'gitlab', 'kubernetes'] as const) {
      expect(isUnfinished(PRESETS[name].subject)).toBe(true);
    }
    expect(isUnfinished('repo:my-org/app:ref:refs/heads/main')).toBe(false);
  });

  test('names of people may be words in capitals', () => {
    for (const subject of [
      'project_path:TOOLS/PROJECT:ref_type:branch:ref:main',
      'repo:ACME/REPOSITORY:ref:refs/heads/main',
      'repo:x/GROUP-y:*',
      'system:serviceaccount:NAMESPACE:builder',
    ])
      expect(isUnfinished(subject), subject).toBe(false);
  });

  test('a lifetime is a minute to a day', () => {
    for (const [minutes, seconds] of [
      ['1', 60],
      ['1.1', 66],
      ['1.5', 90],
      ['1440', 86_400],
      ['0.5', undefined],
      ['1441', undefined],
      ['1.51', undefined],
      ['', undefined],
      ['an hour', undefined],
    ] as const)
      expect(lifetimeOf(minutes), minutes).toBe(seconds);
    expect([60, 90, 3600, 61].map(minutesText)).toEqual(['1', '1.5', '60', '1.02']);
  });

  test('only an object with keys is a set of keys', () => {
    expect(keysOf('{"keys":[]}')).toEqual({ keys: [] });
    for (const wrong of ['', '[]', 'null', '{}', 'keys']) expect(keysOf(wrong)).toBeUndefined();
  });
});
