import { expect, test } from 'vitest';
import { conditions } from './condition';

test('conditions that say nothing are left out', () => {
  expect(conditions({ name: { has: '' }, public: undefined })).toBeUndefined();
  expect(conditions({ name: { has: 'web' }, public: { is: false } })).toBe('name=~web,public=\\false');
});

test('what has a meaning to the server is taken literally', () => {
  expect(conditions({ name: { is: '~x' } })).toBe('name=\\~x');
  expect(conditions({ name: { has: '50%' } })).toBe('name=~50%25');
  expect(conditions({ name: { has: 'a,b=c' } })).toBe('name=~ab=c');
  expect(conditions({ name: { has: ' , ' } })).toBeUndefined();
});
