import { expect, test } from 'vitest';
import { isAddress, presetOf, providerName } from './provider';

test('a type that settles one address leaves no choice', () => {
  const endpoint_pattern = {
    endpoint_type: 'EndpointPatternTypeFix',
    endpoints: [{ key: 'hub.docker.com', value: 'https://hub.docker.com' }],
  };
  expect(presetOf({ endpoint_pattern, credential_pattern: null })).toEqual({
    fixed: 'https://hub.docker.com',
    addresses: [],
    accessKey: undefined,
  });
});

test('a type may list its addresses and settle the account', () => {
  const preset = presetOf({
    endpoint_pattern: {
      endpoint_type: 'EndpointPatternTypeList',
      endpoints: [{ key: 'gcr.io', value: 'https://gcr.io' }],
    },
    credential_pattern: { access_key_type: 'AccessKeyTypeFix', access_key_data: '_json_key' },
  });
  expect(preset).toEqual({
    fixed: undefined,
    addresses: [{ value: 'https://gcr.io', text: 'gcr.io' }],
    accessKey: '_json_key',
  });
});

test('a type that says nothing leaves all open', () => {
  expect(presetOf(undefined)).toEqual({ fixed: undefined, addresses: [], accessKey: undefined });
});

test('names of types', () => {
  expect(providerName('docker-registry')).toBe('Docker Registry');
  expect(providerName('something-new')).toBe('something-new');
});

test('addresses need a scheme and a host', () => {
  for (const good of ['https://eu.example', 'http://127.0.0.1:5000', 'https://[::1]:8443/'])
    expect(isAddress(good), good).toBe(true);
  for (const bad of ['', 'eu.example', 'ftp://eu.example', 'https://', 'https://a b'])
    expect(isAddress(bad), bad).toBe(false);
});
