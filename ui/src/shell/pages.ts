/** The pages of a project and of the administration, in the order of the navigation. */
import type { PlainKey } from '../i18n/index.svelte';

interface Entry {
  /** The last part of the address. */
  id: string;
  icon: string;
  text: PlainKey;
}

const PROJECT_PAGES: (Entry & { needs: string })[] = [
  { id: 'repositories', icon: 'repository', text: 'nav.repositories', needs: 'repository:list' },
  { id: 'summary', icon: 'summary', text: 'nav.summary', needs: '.:read' },
  { id: 'members', icon: 'users', text: 'nav.members', needs: 'member:list' },
  { id: 'robots', icon: 'robot', text: 'robots.title', needs: 'robot:list' },
  { id: 'policies', icon: 'policy', text: 'immutable.title', needs: 'immutable-tag:list' },
  { id: 'labels', icon: 'tag', text: 'labels.title', needs: 'label:create' },
  { id: 'audit', icon: 'audit', text: 'audit.title', needs: 'log:list' },
  { id: 'settings', icon: 'admin', text: 'nav.settings', needs: 'metadata:read' },
];

/** The pages of a project that a reader with these permissions may open. */
export function projectPages(permissions: Set<string>): Entry[] {
  return PROJECT_PAGES.filter((page) => permissions.has(page.needs));
}

export const ADMIN_PAGES: Entry[] = [
  { id: 'health', icon: 'activity', text: 'nav.health' },
  { id: 'gc', icon: 'gc', text: 'gc.title' },
  { id: 'jobs', icon: 'jobs', text: 'jobs.title' },
  { id: 'users', icon: 'user', text: 'nav.users' },
  { id: 'groups', icon: 'users', text: 'groups.title' },
  { id: 'robots', icon: 'robot', text: 'robots.title' },
  { id: 'access', icon: 'key', text: 'access.title' },
  { id: 'quotas', icon: 'gauge', text: 'nav.quotas' },
  { id: 'labels', icon: 'tag', text: 'labels.title' },
  { id: 'audit-retention', icon: 'audit', text: 'purge.title' },
  { id: 'settings', icon: 'policy', text: 'nav.settings' },
];
