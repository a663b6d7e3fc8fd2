import { describe, expect, test } from 'vitest';
import { clientsFor, pullCommand, type Target } from './pull';

const digest = `sha256:${'a'.repeat(64)}`;
const image: Target = { host: 'r.example:8443', repository: 'p/team/app', tag: '1.0', digest, type: 'IMAGE' };

describe('commands that pull', () => {
  test('name the tag or the digest', () => {
    expect(pullCommand('docker', image, 'tag')).toBe('docker pull r.example:8443/p/team/app:1.0');
    expect(pullCommand('podman', image, 'digest')).toBe(`podman pull r.example:8443/p/team/app@${digest}`);
    expect(pullCommand('docker', { ...image, tag: undefined }, 'tag')).toContain(`@${digest}`);
    expect(pullCommand('kubernetes', image, 'tag')).toBe('image: r.example:8443/p/team/app:1.0');
    expect(pullCommand('skopeo', image, 'tag')).toBe(
      'skopeo copy docker://r.example:8443/p/team/app:1.0 oci:app:1.0',
    );
  });

  test('of charts are those of helm, with the version that its tag stands for', () => {
    const chart = { ...image, type: 'CHART', tag: '1.2.3_build.4' };
    expect(clientsFor('CHART')[0]).toBe('helm');
    expect(pullCommand('helm', chart, 'tag')).toBe(
      'helm pull oci://r.example:8443/p/team/app --version 1.2.3+build.4',
    );
  });

  test('of images are not those of helm', () => {
    expect(clientsFor('IMAGE')).not.toContain('helm');
    expect(clientsFor('UNKNOWN')).toEqual(['oras', 'skopeo']);
  });
});
