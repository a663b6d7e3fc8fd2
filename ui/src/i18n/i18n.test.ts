import { beforeAll, expect, test } from 'vitest';
import { choose, languageName, speak, t } from './index.svelte';
import { accent } from './pseudo';

beforeAll(() => {
  globalThis.document = { documentElement: {} } as Document;
});

test('numbers choose the plural form of the language', async () => {
  await speak('en');
  expect(t('projects.count', { count: 1 })).toBe('**1** project');
  expect(t('projects.count', { count: 1234 })).toBe('**1,234** projects');
  await speak('zh-CN');
  expect(t('projects.count', { count: 1 })).toBe('**1** 个项目');
});

test('a value with braces stays what it is', async () => {
  await speak('en');
  expect(t('projects.made', { name: '{name}' })).toBe('The project {name} is made');
});

test('stars of a value make nothing strong', async () => {
  await speak('en');
  const text = t('projects.count', { count: 1 }).replace('1', '');
  expect(text).toBe('**** project');
  const said = t('tags.addText', { name: '**', digest: 'a*' });
  expect(said.split('**').filter((_, at) => at % 2 === 1)).toEqual(['*\u2060*\u2060', 'a*\u2060']);
});

test('the reader’s languages are searched in order', () => {
  expect(choose(['fr', 'zh-TW', 'en'], undefined)).toBe('zh-CN');
  expect(choose(['fr'], undefined)).toBe('en');
  expect(choose(['en'], 'zh-CN')).toBe('zh-CN');
  expect(choose(['en'], 'xx')).toBe('en');
});

test('languages name themselves', () => {
  expect(languageName('en')).toBe('English');
  expect(languageName('zh-CN')).toBe('简体中文');
});

test('the pseudo-language keeps arguments', () => {
  expect(accent('Hi {name}')).toBe('[Hí {name}···]');
});
