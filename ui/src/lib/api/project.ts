/** Projects with their settings, members and quotas. */
import { send } from '../client';
import { type Listing, listing, type Page } from './list';
import type { Member, Metadata, Project, Quota, Summary } from './types';

const PROJECTS = '/api/v2.0/projects';
/** Says that digits in a path are a project's name, not its id. */
export const BY_NAME = { 'X-Is-Resource-Name': 'true' };

const at = (name: string) => `${PROJECTS}/${encodeURIComponent(name)}`;

export async function listProjects(of: Listing, signal: AbortSignal): Promise<Page<Project>> {
  const { body, total } = await send<Project[]>('GET', PROJECTS, { query: listing(of), signal });
  return { rows: body, total };
}

export async function getProject(name: string): Promise<Project> {
  return (await send<Project>('GET', at(name), { headers: BY_NAME })).body;
}

/** The project that has a number. */
export async function projectOfId(id: string): Promise<Project> {
  return (await send<Project>('GET', at(id))).body;
}

/** Makes a project; the limit (bytes, -1 for none) counts only from a system administrator. */
export async function createProject(name: string, open: boolean, limit?: number): Promise<void> {
  const json = { project_name: name, metadata: { public: String(open) }, storage_limit: limit };
  await send('POST', PROJECTS, { json });
}

export async function updateProject(name: string, metadata: Metadata): Promise<void> {
  await send('PUT', at(name), { json: { metadata }, headers: BY_NAME });
}

export async function deleteProject(name: string): Promise<void> {
  await send('DELETE', at(name), { headers: BY_NAME });
}

export async function projectSummary(name: string, signal: AbortSignal): Promise<Summary> {
  return (await send<Summary>('GET', `${at(name)}/summary`, { headers: BY_NAME, signal })).body;
}

/** A deleted project that can be restored. */
export interface DeletedProject {
  project_id: number;
  name: string;
  owner_name: string;
  deletion_time: string;
  restorable_until: string;
  /** Whether another project has the name now. */
  name_taken: boolean;
}

const DELETED = '/api/ext/v1/deleted-projects';

export async function listDeleted(of: Listing, signal: AbortSignal): Promise<Page<DeletedProject>> {
  const { body, total } = await send<DeletedProject[]>('GET', DELETED, { query: listing(of), signal });
  return { rows: body, total };
}

export async function restoreProject(id: number): Promise<void> {
  await send('POST', `${DELETED}/${id}/restore`);
}

/** A role that waits for somebody of the OIDC provider. */
export interface ExpectedMember {
  id: number;
  claim: string;
  value: string;
  role_id: number;
  creation_time: string;
}

const expectedIn = (project: string) =>
  `/api/ext/v1/projects/${encodeURIComponent(project)}/expected-members`;

export async function listExpected(
  project: string,
  of: Listing,
  signal: AbortSignal,
): Promise<Page<ExpectedMember>> {
  const options = { headers: BY_NAME, query: listing(of), signal };
  const { body, total } = await send<ExpectedMember[]>('GET', expectedIn(project), options);
  return { rows: body, total };
}

/** Lets a role wait; without a claim, for an account name. */
export async function expectMember(
  project: string,
  person: { claim?: string; value: string },
  role: number,
): Promise<void> {
  const json = { ...person, role_id: role };
  await send('POST', expectedIn(project), { headers: BY_NAME, json });
}

export async function forgetExpected(project: string, id: number): Promise<void> {
  await send('DELETE', `${expectedIn(project)}/${id}`, { headers: BY_NAME });
}

/** Whether a project can be deleted; if not, why. */
export async function deletable(name: string, signal: AbortSignal): Promise<{ deletable?: boolean | null }> {
  const options = { headers: BY_NAME, signal };
  return (await send<{ deletable?: boolean }>('GET', `${at(name)}/_deletable`, options)).body;
}

export async function listMembers(name: string, of: Listing, signal: AbortSignal): Promise<Page<Member>> {
  const options = { query: listing(of), headers: BY_NAME, signal };
  const { body, total } = await send<Member[]>('GET', `${at(name)}/members`, options);
  return { rows: body, total };
}

/** Who becomes a member: an account by its name, or a group by its id. */
export type NewMember = { user: string } | { group: number };

export async function addMember(name: string, who: NewMember, role: number): Promise<void> {
  const member =
    'user' in who ? { member_user: { username: who.user } } : { member_group: { id: who.group } };
  const json = { role_id: role, ...member };
  await send('POST', `${at(name)}/members`, { json, headers: BY_NAME });
}

export async function setRole(name: string, member: number, role: number): Promise<void> {
  await send('PUT', `${at(name)}/members/${member}`, { json: { role_id: role }, headers: BY_NAME });
}

export async function removeMember(name: string, member: number): Promise<void> {
  await send('DELETE', `${at(name)}/members/${member}`, { headers: BY_NAME });
}

export async function listQuotas(of: Listing, signal: AbortSignal): Promise<Page<Quota>> {
  const { body, total } = await send<Quota[]>('GET', '/api/v2.0/quotas', { query: listing(of), signal });
  return { rows: body, total };
}

/** Sets how many bytes a project may hold; -1 for no limit. */
export async function setQuota(id: number, limit: number): Promise<void> {
  await send('PUT', `/api/v2.0/quotas/${id}`, { json: { hard: { storage: limit } } });
}
