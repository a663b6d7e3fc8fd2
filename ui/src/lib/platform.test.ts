import { expect, test } from 'vitest';
import { platformName, platformNames } from './platform';

test('Linux goes without saying in lists', () => {
  const platforms = [
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm', variant: 'v7' },
    { os: 'windows', architecture: 'amd64' },
    { os: 'unknown', architecture: 'unknown' },
  ];
  expect(platformNames(platforms)).toBe('amd64, arm/v7, windows/amd64');
  expect(platformNames([])).toBe('–');
  expect(platformName({ os: 'linux', architecture: 'arm64', variant: 'v8' })).toBe('linux/arm64/v8');
});
