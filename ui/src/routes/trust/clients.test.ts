import { expect, test } from 'vitest';
import { CLIENTS, linesFor } from './clients';

test('each client has commands, with the port where the client wants it', () => {
  for (const client of CLIENTS)
    expect(linesFor(client, 'r.example:8443')[0]?.lines.length).toBeGreaterThan(0);
  expect(linesFor('docker', 'r.example:8443')[0]?.lines[0]).toContain(
    '/etc/docker/certs.d/r.example:8443/ca.crt',
  );
  // A file of the store of the system is not named with a colon.
  expect(linesFor('debian', 'r.example:8443')[0]?.lines[0]).toContain('/r.example_8443.crt');
  const [, hosts] = linesFor('containerd', 'r.example');
  expect(hosts?.lines.join('\n')).toContain('ca = "/etc/containerd/certs.d/r.example/ca.crt"');
});
