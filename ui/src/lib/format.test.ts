import { expect, test } from 'vitest';
import { ago, bytes, initials } from './format';

test('sizes have three digits and one unit', () => {
  const text = (size: number) => bytes(size).replace('\u00a0', ' ');
  expect(text(0)).toBe('0 B');
  expect(text(999)).toBe('999 B');
  expect(text(1000)).toBe('0.98 KiB');
  expect(text(184.2 * 2 ** 20)).toBe('184 MiB');
  expect(text(6.42 * 2 ** 40)).toBe('6.42 TiB');
  expect(text(88.4 * 2 ** 30)).toBe('88.4 GiB');
});

test('times in lists are how long ago', () => {
  const now = Date.parse('2026-11-29T12:00:00Z');
  expect(ago('2026-11-29T11:57:00Z', now)).toBe('3m ago');
  expect(ago('2026-11-29T11:59:59.900Z', now)).toBe('1s ago');
  expect(ago('2026-11-25T11:00:00Z', now)).toBe('4d ago');
  expect(ago('2025-01-01T00:00:00Z', now)).toMatch(/2025/);
});

test('initials', () => {
  expect(initials('Mei Tanaka')).toBe('MT');
  expect(initials('admin')).toBe('AD');
  expect(initials('陈晓雨')).toBe('陈');
  expect(initials('')).toBe('');
});
