import { expect, test } from 'vitest';
import { isEmail, isProjectName, isUserName, weakness } from './rule';

test('a password lacks what it lacks first', () => {
  expect(weakness('Aa1')).toBe('length');
  expect(weakness(`Aa1${'x'.repeat(126)}`)).toBe('length');
  expect(weakness('ABCDEFG1')).toBe('lower');
  expect(weakness('abcdefg1')).toBe('upper');
  expect(weakness('Abcdefgh')).toBe('digit');
  expect(weakness('Ábcdefg1')).toBeUndefined();
});

test('names of projects', () => {
  for (const good of ['a', 'a-b', 'a.b_c', '42']) expect(isProjectName(good), good).toBe(true);
  for (const bad of ['', 'A', 'a--b', '-a', 'a-', 'a/b', 'a'.repeat(256)])
    expect(isProjectName(bad), bad).toBe(false);
});

test('names of accounts count bytes', () => {
  expect(isUserName('陈'.repeat(85))).toBe(true);
  expect(isUserName('陈'.repeat(86))).toBe(false);
  expect(isUserName('a$b')).toBe(false);
});

test('mail addresses', () => {
  expect(isEmail('a@b')).toBe(true);
  expect(isEmail('a@b c')).toBe(false);
  expect(isEmail('a')).toBe(false);
});
