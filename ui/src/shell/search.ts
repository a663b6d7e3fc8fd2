/** What the palette finds: on the server by name, and among our own pages and commands. */
import { LANGUAGES, language, languageName, speak, t } from '../i18n/index.svelte';
import { listProjects } from '../lib/api/project';
import { listRepositories, shortName } from '../lib/api/repository';
import { listUsers } from '../lib/api/user';
import { conditions } from '../lib/condition';
import { link } from '../lib/path';
import { isDark, prefer, recentOf } from '../lib/preference.svelte';
import { currentProject } from '../lib/project.svelte';
import { isSysadmin, mayCreateProject, secretTab, session } from '../lib/session.svelte';
import { ADMIN_PAGES } from './pages';

export interface Hit {
  key: string;
  icon: string;
  text: string;
  /** At the end of the row. */
  note?: string;
  href?: string;
  run?: () => void;
}

export interface Group {
  title: string;
  hits: Hit[];
}

/** Projects, repositories of the current project, and for administrators people, by a part of their names. */
export async function search(text: string, signal: AbortSignal): Promise<Group[]> {
  const project = currentProject();
  const asked = await Promise.all([
    text ? groupOf(t('nav.projects'), projects(text, signal)) : recent(),
    project?.permissions.has('repository:list') && text
      ? groupOf(t('palette.repositoriesIn', { name: project.name }), repositories(project.name, text, signal))
      : none(),
    isSysadmin() && text ? groupOf(t('nav.users'), people(text, signal)) : none(),
  ]);
  return asked;
}

const none = (): Group => ({ title: '', hits: [] });

/** What cannot be found now is left out; the other groups stay. */
async function groupOf(title: string, hits: Promise<Hit[]>): Promise<Group> {
  return { title, hits: await hits.catch(() => []) };
}

function recent(): Group {
  const hits = recentOf(session.user?.user_id).map((name) => ({
    key: `p:${name}`,
    icon: 'projects',
    text: name,
    href: link('projects', name),
  }));
  return { title: t('palette.recent'), hits };
}

async function projects(text: string, signal: AbortSignal): Promise<Hit[]> {
  const q = conditions({ name: { has: text } });
  const { rows } = await listProjects({ page: 1, pageSize: 6, sort: 'name', q }, signal);
  return rows.map(({ name, repo_count }) => ({
    key: `p:${name}`,
    icon: 'projects',
    text: name,
    note: t('palette.repositories', { count: repo_count }),
    href: link('projects', name),
  }));
}

async function repositories(project: string, text: string, signal: AbortSignal): Promise<Hit[]> {
  const q = conditions({ name: { has: text } });
  const { rows } = await listRepositories(project, { page: 1, pageSize: 6, sort: 'name', q }, { signal });
  return rows.map(({ name }) => ({
    key: `r:${name}`,
    icon: 'repository',
    text: name,
    href: link('projects', project, 'repositories', shortName(name), '-', 'tags'),
  }));
}

async function people(text: string, signal: AbortSignal): Promise<Hit[]> {
  const q = conditions({ username: { has: text } });
  const { rows } = await listUsers({ page: 1, pageSize: 4, sort: 'username', q }, signal);
  return rows.map((user) => ({
    key: `u:${user.user_id}`,
    icon: 'user',
    text: user.username,
    note: user.realname,
    href: `/ui/admin/users?q=${encodeURIComponent(user.username)}`,
  }));
}

/** Pages and commands that fit what is typed. */
export function commands(text: string): Group[] {
  const words = text.trim().toLowerCase().split(/\s+/);
  const fits = (hit: Hit) => words.every((word) => hit.text.toLowerCase().includes(word));
  const everywhere: Hit = {
    key: 'everywhere',
    icon: 'explore',
    text: t('palette.everywhere', { text: text.trim() }),
    href: `/ui/explore?q=${encodeURIComponent(text.trim())}`,
  };
  return [
    { title: t('explore.title'), hits: text.trim() ? [everywhere] : [] },
    { title: t('palette.goTo'), hits: pages().filter(fits) },
    { title: t('palette.commands'), hits: acts().filter(fits) },
  ];
}

function pages(): Hit[] {
  const page = (icon: string, text: string, href: string): Hit => ({ key: href, icon, text, href });
  const admin = isSysadmin()
    ? ADMIN_PAGES.flat().map(({ id, icon, text }) => page(icon, t(text), link('admin', id)))
    : [];
  const own = session.user
    ? [
        page('user', t('me.profile'), '/ui/me/profile'),
        page('key', t(`me.${secretTab()}`), link('me', secretTab())),
        page('server', t('me.sessions'), '/ui/me/sessions'),
        page('gauge', t('me.preferences'), '/ui/me/preferences'),
      ]
    : [];
  const all = [
    page('home', t('nav.home'), '/ui/'),
    page('explore', t('explore.title'), '/ui/explore'),
    page('projects', t('nav.projects'), '/ui/projects'),
    ...(session.user
      ? [page('activity', t('activity.title'), '/ui/activity'), page('audit', t('audit.title'), '/ui/audit')]
      : []),
  ];
  const last = [
    ...(session.user ? [page('shield', t('trust.title'), '/ui/trust')] : []),
    page('terminal', t('api.title'), '/ui/api'),
    page('info', t('about.title'), '/ui/about'),
  ];
  return [...all, ...admin, ...own, ...last];
}

function acts(): Hit[] {
  const theme = isDark() ? 'light' : 'dark';
  const languages = LANGUAGES.filter((tag) => tag !== language()).map((tag) => ({
    key: `l:${tag}`,
    icon: 'globe',
    text: t('palette.language', { name: languageName(tag) }),
    run: () => choose(tag),
  }));
  const create: Hit = { key: 'new', icon: 'plus', text: t('projects.new'), href: '/ui/projects?new=1' };
  return [
    ...(mayCreateProject() ? [create] : []),
    { key: 'theme', icon: 'moon', text: t(`theme.to.${theme}`), run: () => prefer({ theme }) },
    ...languages,
  ];
}

/** Shows another language and keeps the choice. */
export function choose(tag: string): void {
  prefer({ language: tag });
  void speak(tag);
}
