import { expect, test } from 'vitest';
import { link, match, safeReturn } from './path';

test('a segment and a path are taken apart', () => {
  const pattern = '/projects/:project/repositories/*repository/-/:tab';
  expect(match(pattern, '/projects/p/repositories/a/b-c/d/-/info')).toEqual({
    project: 'p',
    repository: 'a/b-c/d',
    tab: 'info',
  });
  expect(match(pattern, '/projects/p/repositories/-/info')).toBeUndefined();
});

test('segments are decoded, and a slash at the end makes no difference', () => {
  expect(match('/projects/:project', '/projects/a%20b/')).toEqual({ project: 'a b' });
  expect(match('/projects/:project', '/projects/%ff')).toBeUndefined();
  expect(match('/', '/')).toEqual({});
  expect(match('/me/:tab', '/me')).toBeUndefined();
});

test('links encode all but slashes', () => {
  expect(link('projects', 'p', 'repositories', 'a/b c', '-', 'info')).toBe(
    '/ui/projects/p/repositories/a/b%20c/-/info',
  );
});

test('only our own paths are returned to', () => {
  expect(safeReturn('/ui/projects?q=a')).toBe('/ui/projects?q=a');
  expect(safeReturn('/harbor/projects')).toBe('/ui/harbor/projects');
  for (const elsewhere of [
    '/harbor/\\evil',
    '//evil.example',
    'https://evil.example/ui/',
    '/uix',
    '/ui/\\evil',
    '/c/log_out',
    null,
  ]) {
    expect(safeReturn(elsewhere)).toBe('/ui/');
  }
});
