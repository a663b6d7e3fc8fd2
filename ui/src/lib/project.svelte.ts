/** The project that the reader is in, with what they may do there; kept while they stay in it. */
import { t } from '../i18n/index.svelte';
import { getProject } from './api/project';
import type { Project } from './api/types';
import { permissionsIn } from './api/user';
import { ApiError } from './client';
import { isSignedIn, onNewReader, session } from './session.svelte';

export interface Here {
  name: string;
  project?: Project;
  permissions: Set<string>;
  error?: ApiError;
}

/** What everyone may do in a public project, without asking. */
const EVERYONE = new Set([
  '.:read',
  'repository:list',
  'repository:pull',
  'artifact:read',
  'artifact:list',
  'tag:list',
  'label:list',
]);

let here = $state.raw<Here | undefined>();

/** The project last entered, whether its data has arrived or not. */
export function currentProject(): Here | undefined {
  return here;
}

/** Loads a project unless it is the current one. */
export async function enter(name: string): Promise<void> {
  if (here?.name === name) return;
  here = { name, permissions: new Set() };
  await reenter();
}

/** Loads the current project again, after a change or a refusal. */
export async function reenter(): Promise<void> {
  const name = here?.name;
  if (!name) return;
  let next: Here;
  try {
    const [project, signedIn] = await Promise.all([getProject(name), isSignedIn()]);
    const permissions = signedIn ? await permissionsIn(project.project_id) : EVERYONE;
    next = { name, project, permissions };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    next = { name, permissions: new Set(), error };
  }
  if (here?.name === name) here = next;
}

/** Forgets the project, so that the next visit asks again. */
export function leave(): void {
  here = undefined;
}
onNewReader(leave);

/** Whether the reader may do something in the current project: `may('member:create')`. */
export function may(permission: string): boolean {
  return here?.permissions.has(permission) ?? false;
}

/** Whether the reader may take artifacts from here to another project: where to is for that project to say. */
export function mayCopy(): boolean {
  return session.user !== undefined && may('artifact:read');
}

/** Whether anybody may see a project. */
export function isPublic(project: Project): boolean {
  return project.metadata?.public === 'true';
}

export const ROLES = {
  1: 'projectAdmin',
  4: 'maintainer',
  2: 'developer',
  3: 'guest',
  5: 'limitedGuest',
} as const;
export type RoleId = keyof typeof ROLES;
/** All roles, strongest first. */
export const ROLE_IDS: RoleId[] = [1, 4, 2, 3, 5];

/** A role's name, by the server's. */
export function roleName(name: string): string {
  const known = Object.values(ROLES).find((one) => one === name);
  return t(known ? `role.${known}` : 'role.unknown');
}

/** The key of a role's name. */
export function roleKey(id: number): `role.${(typeof ROLES)[RoleId]}` | 'role.unknown' {
  return id in ROLES ? `role.${ROLES[id as RoleId]}` : 'role.unknown';
}
