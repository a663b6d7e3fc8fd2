import { expect, test } from 'vitest';
import type { Artifact } from '../../lib/api/artifact';
import { factsOf } from './facts';

const image: Artifact = {
  id: 1,
  digest: `sha256:${'a'.repeat(64)}`,
  type: 'IMAGE',
  media_type: 'application/vnd.oci.image.config.v1+json',
  manifest_media_type: 'application/vnd.oci.image.manifest.v1+json',
  size: 1,
  push_time: '2026-11-22T09:14:00Z',
  pull_time: '0001-01-01T00:00:00Z',
  tags: null,
  labels: null,
  references: null,
};
const values = (artifact: Artifact) =>
  Object.fromEntries(factsOf(artifact).map(({ text, value }) => [text, value]));

test('an image says what it runs', () => {
  const config = { Entrypoint: ['/app', '--serve'], Env: ['A=b', 'C=d'], ExposedPorts: { '443/tcp': {} } };
  const facts = values({ ...image, extra_attrs: { os: 'linux', architecture: 'arm64', config } });
  expect(facts).toMatchObject({
    'artifact.platform': 'linux/arm64',
    'artifact.entrypoint': '/app --serve',
    'artifact.environment': 'A=b\nC=d',
    'artifact.ports': '443/tcp',
  });
});

test('a configuration that is not what it should be breaks nothing', () => {
  const config = { Entrypoint: 'x', Env: [1, null, 'A=b'], ExposedPorts: [], User: {} };
  const facts = values({ ...image, extra_attrs: { os: 5, created: {}, config } });
  expect(facts).toEqual({
    'artifact.type': 'IMAGE',
    'artifact.mediaType': image.manifest_media_type,
    'artifact.environment': 'A=b',
  });
});
