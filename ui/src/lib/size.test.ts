import { expect, test } from 'vitest';
import { parseSize, splitSize } from './size';

test('sizes are typed with a point or a comma', () => {
  expect(parseSize('1.5', 'GiB')).toBe(1.5 * 2 ** 30);
  expect(parseSize('1,5', 'GiB')).toBe(1.5 * 2 ** 30);
  expect(parseSize('1024', 'TiB')).toBe(2 ** 50);
});

test('what is no size, or too large, is none', () => {
  for (const text of ['', ' ', '0', '-1', 'x', '1e400']) expect(parseSize(text, 'MiB'), text).toBeUndefined();
  expect(parseSize('1025', 'TiB')).toBeUndefined();
});

test('sizes are shown in their largest unit', () => {
  expect(splitSize(2 ** 40)).toEqual({ text: '1', unit: 'TiB' });
  expect(splitSize(1.5 * 2 ** 30)).toEqual({ text: '1.5', unit: 'GiB' });
  expect(splitSize(2 ** 19)).toEqual({ text: '0.5', unit: 'MiB' });
});
