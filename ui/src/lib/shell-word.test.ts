import { expect, test } from 'vitest';
import { quoted } from './shell-word';

test('what a shell would read is in quotes', () => {
  expect(quoted('dev')).toBe('dev');
  expect(quoted('robot$ci')).toBe("'robot$ci'");
  expect(quoted("o'neil")).toBe("'o'\\''neil'");
});
