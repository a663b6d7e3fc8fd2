/** What makes each kind of client trust a certificate authority. */
export const CERTIFICATE = '/api/v2.0/systeminfo/getcert';

export const CLIENTS = ['docker', 'containerd', 'podman', 'debian', 'redhat', 'macos', 'windows'] as const;
export type Client = (typeof CLIENTS)[number];

export interface Block {
  /** What the lines are the content of; commands without it. */
  file?: string;
  lines: string[];
}

/** Commands, and files to write, for a registry's name with its port. `ca.crt` is where they are run. */
export function linesFor(client: Client, host: string): Block[] {
  const file = host.replaceAll(':', '_');
  switch (client) {
    case 'docker':
      return [{ lines: [`sudo install -D -m 644 ca.crt /etc/docker/certs.d/${host}/ca.crt`] }];
    case 'podman':
      return [{ lines: [`sudo install -D -m 644 ca.crt /etc/containers/certs.d/${host}/ca.crt`] }];
    case 'containerd': {
      const folder = `/etc/containerd/certs.d/${host}`;
      return [
        { lines: [`sudo install -D -m 644 ca.crt ${folder}/ca.crt`] },
        {
          file: `${folder}/hosts.toml`,
          lines: [`server = "https://${host}"`, '', `[host."https://${host}"]`, `  ca = "${folder}/ca.crt"`],
        },
      ];
    }
    case 'debian':
      return [
        {
          lines: [
            `sudo install -m 644 ca.crt /usr/local/share/ca-certificates/${file}.crt`,
            'sudo update-ca-certificates',
          ],
        },
      ];
    case 'redhat':
      return [
        {
          lines: [
            `sudo install -m 644 ca.crt /etc/pki/ca-trust/source/anchors/${file}.crt`,
            'sudo update-ca-trust',
          ],
        },
      ];
    case 'macos':
      return [
        {
          lines: [
            'sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ca.crt',
          ],
        },
      ];
    case 'windows':
      return [
        { lines: ['Import-Certificate -FilePath ca.crt -CertStoreLocation Cert:\\LocalMachine\\Root'] },
      ];
  }
}
