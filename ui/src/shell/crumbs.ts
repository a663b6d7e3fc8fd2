/** The way to a page: of a project, or of the administration. */
import { t } from '../i18n/index.svelte';
import { link } from '../lib/path';

export interface Crumb {
  text: string;
  href: string;
}

/** Without a project: the administration. */
export function crumbsTo(project: string | undefined): Crumb[] {
  if (project === undefined) return [{ text: t('nav.admin'), href: '/ui/admin/health' }];
  return [
    { text: t('nav.projects'), href: '/ui/projects' },
    { text: project, href: link('projects', project) },
  ];
}
