/** The pages of a project and of the administration, in the order of the navigation. */
import type { PlainKey } from '../i18n/index.svelte';

interface Entry {
  /** The last part of the address. */
  id: string;
  icon: string;
  text: PlainKey;
}

/** In groups: content, people and machines, rules, the project itself. */
const PROJECT_PAGES: (Entry & { needs: string; group: number })[] = [
  { id: 'repositories', icon: 'repository', text: 'nav.repositories', needs: 'repository:list', group: 0 },
  { id: 'summary', icon: 'summary', text: 'nav.summary', needs: '.:read', group: 0 },
  { id: 'members', icon: 'users', text: 'nav.members', needs: 'member:list', group: 1 },
  { id: 'robots', icon: 'robot', text: 'robots.title', needs: 'robot:list', group: 1 },
  { id: 'workload', icon: 'terminal', text: 'workload.title', needs: 'workload-rule:list', group: 1 },
  { id: 'retention', icon: 'clock', text: 'retention.title', needs: 'tag-retention:read', group: 2 },
  { id: 'policies', icon: 'policy', text: 'immutable.title', needs: 'immutable-tag:list', group: 2 },
  { id: 'webhooks', icon: 'webhook', text: 'webhooks.title', needs: 'notification-policy:list', group: 2 },
  { id: 'labels', icon: 'tag', text: 'labels.title', needs: 'label:create', group: 2 },
  { id: 'audit', icon: 'audit', text: 'audit.title', needs: 'log:list', group: 3 },
  { id: 'settings', icon: 'admin', text: 'nav.settings', needs: 'metadata:read', group: 3 },
];

/** The pages of a project that a reader with these permissions may open, in their groups. */
export function projectPages(permissions: Set<string>): Entry[][] {
  const pages = PROJECT_PAGES.filter((page) => permissions.has(page.needs));
  const groups = [...new Set(pages.map(({ group }) => group))];
  return groups.map((group) => pages.filter((page) => page.group === group));
}

const OPERATION: Entry[] = [
  { id: 'health', icon: 'activity', text: 'nav.health' },
  { id: 'certificates', icon: 'shield', text: 'certificates.title' },
  { id: 'gc', icon: 'gc', text: 'gc.title' },
  { id: 'jobs', icon: 'jobs', text: 'jobs.title' },
];
const PEOPLE: Entry[] = [
  { id: 'users', icon: 'user', text: 'nav.users' },
  { id: 'groups', icon: 'users', text: 'groups.title' },
  { id: 'robots', icon: 'robot', text: 'robots.title' },
  { id: 'access', icon: 'key', text: 'access.title' },
];
const OTHERS: Entry[] = [
  { id: 'registries', icon: 'server', text: 'registries.title' },
  { id: 'replication', icon: 'replicate', text: 'replication.title' },
];
const RULES: Entry[] = [
  { id: 'quotas', icon: 'gauge', text: 'nav.quotas' },
  { id: 'labels', icon: 'tag', text: 'labels.title' },
  { id: 'audit-retention', icon: 'audit', text: 'purge.title' },
  { id: 'settings', icon: 'policy', text: 'nav.settings' },
];

/** The pages of the administration, in their groups. */
export const ADMIN_PAGES = [OPERATION, PEOPLE, OTHERS, RULES];
