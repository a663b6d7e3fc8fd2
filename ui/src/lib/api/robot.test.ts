import { expect, test } from 'vitest';
import { ownPart } from './robot';

test('the name that is shown finds a robot as its own name does', () => {
  for (const text of ['robot$ci', 'robot$platform+ci', 'ci', '$ci']) expect(ownPart(text), text).toBe('ci');
  expect(ownPart('robot$')).toBe('');
});
