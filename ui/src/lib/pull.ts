/** Commands that pull an artifact, as its client wants them. They run as they are. */
export const CLIENTS = [
  'docker',
  'podman',
  'nerdctl',
  'crictl',
  'ctr',
  'helm',
  'oras',
  'skopeo',
  'kubernetes',
  'dockerfile',
] as const;
export type Client = (typeof CLIENTS)[number];

export interface Target {
  /** The registry's name, with its port. */
  host: string;
  /** The whole name, with the project's. */
  repository: string;
  tag?: string;
  digest: string;
  /** The kind of artifact, such as `IMAGE` or `CHART`. */
  type: string;
}

/** The clients that can pull a kind of artifact, the usual one first. */
export function clientsFor(type: string): Client[] {
  if (type === 'CHART') return ['helm', 'oras', 'skopeo'];
  if (type === 'IMAGE') return CLIENTS.filter((client) => client !== 'helm' && client !== 'oras');
  return ['oras', 'skopeo'];
}

/** `host/name:tag`, or `host/name@digest`. */
export function reference({ host, repository, tag, digest }: Target, by: 'tag' | 'digest'): string {
  return tag && by === 'tag' ? `${host}/${repository}:${tag}` : `${host}/${repository}@${digest}`;
}

/** What pulls `target` with `client`; by digest where it has no tag. */
export function pullCommand(client: Client, target: Target, by: 'tag' | 'digest'): string {
  const name = reference(target, by);
  switch (client) {
    case 'docker':
    case 'podman':
    case 'nerdctl':
    case 'crictl':
    case 'oras':
      return `${client} pull ${name}`;
    case 'ctr':
      return `ctr images pull ${name}`;
    case 'helm':
      return target.tag && by === 'tag'
        ? `helm pull oci://${target.host}/${target.repository} --version ${target.tag.replaceAll('_', '+')}`
        : `helm pull oci://${name}`;
    case 'skopeo':
      return `skopeo copy docker://${name} oci:${target.repository.split('/').pop()}:${target.tag ?? 'latest'}`;
    case 'kubernetes':
      return `image: ${name}`;
    case 'dockerfile':
      return `FROM ${name}`;
  }
}
