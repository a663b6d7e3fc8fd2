import { expect, test } from 'vitest';
import { agentName } from './agent';

test('browsers are named with their system', () => {
  const chrome =
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';
  expect(agentName(chrome)).toBe('Chrome 156, Linux');
  expect(agentName(`${chrome} Edg/156.0.0.0`)).toBe('Edge 156, Linux');
  expect(agentName('Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe(
    'Firefox 140, Windows',
  );
  expect(agentName('curl/8.1')).toBe('curl/8.1');
});
