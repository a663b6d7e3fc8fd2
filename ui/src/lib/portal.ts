/** Where the pages of Harbor's portal are here, so that bookmarks and links in mails go on leading somewhere. */
export interface Place {
  /** Name or number of the project that the rest is in. */
  project?: string;
  /** The parts of the path below `/ui`, or below the project. */
  below: string[];
}

/** Pages of a project that have another name here. */
const IN_PROJECT: Record<string, string> = {
  configs: 'settings',
  logs: 'audit',
  scanner: 'security',
  'p2p-provider': 'preheat',
  'tag-strategy': 'policies',
  'robot-account': 'robots',
  webhook: 'webhooks',
};

/** Pages of the administration, by the first part of their path, with the last part where that decides. */
const IN_ADMINISTRATION: Record<string, (last: string) => string[]> = {
  users: () => ['admin', 'users'],
  groups: () => ['admin', 'groups'],
  'robot-accounts': () => ['admin', 'robots'],
  registries: () => ['admin', 'registries'],
  labels: () => ['admin', 'labels'],
  replications: () => ['admin', 'replication'],
  distribution: () => ['admin', 'preheat'],
  'project-quotas': () => ['admin', 'quotas'],
  'interrogation-services': (last) =>
    last === 'security-hub' ? ['security', 'overview'] : ['admin', 'scanners'],
  'clearing-job': (last) => ['admin', last === 'audit-log-purge' ? 'audit-retention' : 'gc'],
  'job-service-dashboard': () => ['admin', 'jobs'],
  configs: () => ['admin', 'settings'],
  logs: () => ['audit'],
};

/** The place of a path below Harbor's `/harbor/`. What we do not know leads to the first page. */
export function placeOf(path: string): Place {
  const [first = '', ...rest] = path.split('/').map(plain).filter(Boolean);
  if (first === 'projects') return rest[0] ? inProject(rest[0], rest.slice(1)) : { below: ['projects'] };
  return { below: IN_ADMINISTRATION[first]?.(rest.at(-1) ?? '') ?? [] };
}

function inProject(project: string, [page = 'repositories', ...rest]: string[]): Place {
  if (page === 'repositories' && rest[0]) return { project, below: inRepository(rest[0], rest.slice(1)) };
  // Two pages of Harbor's share this part of the path; the first is the one without a name.
  if (page === 'tag-strategy' && rest[0] !== 'immutable-tag') return { project, below: ['retention'] };
  return { project, below: [IN_PROJECT[page] ?? page] };
}

/** The last digest of a path is the artifact that it is about. */
function inRepository(name: string, rest: string[]): string[] {
  const digest = rest.findLast((part) => /^sha\d+:[\da-f]+$/.test(part));
  const below = digest ? ['digest', digest] : [rest[0] === 'info-tab' ? 'info' : 'artifacts'];
  return ['repositories', name, '-', ...below];
}

/** A part of a path; Harbor encodes the slashes of a repository up to twice. */
function plain(part: string): string {
  let text = part;
  for (let times = 0; times < 3 && text.includes('%'); times += 1) {
    try {
      text = decodeURIComponent(text);
    } catch {
      return text;
    }
  }
  return text;
}
