import { expect, test } from 'vitest';
import { platformName, platformNames } from './platform';

test('Linux goes without saying in lists', () => {
  const names = ['linux/amd64', 'linux/arm/v7', 'windows/amd64', 'unknown/unknown', 'linux/amd64'];
  expect(platformNames(names)).toBe('amd64, arm/v7, windows/amd64');
  expect(platformNames([])).toBe('–');
  expect(platformName({ os: 'linux', architecture: 'arm64', variant: 'v8' })).toBe('linux/arm64/v8');
});
