/** Groups of people, as a directory or an identity provider names them. */
import { send } from '../client';
import { type Listing, listing, type Page } from './list';

/** Where a group comes from: LDAP, a proxy that signs in, OIDC. */
export type GroupType = 1 | 2 | 3;

export interface Group {
  id: number;
  group_name: string;
  group_type: GroupType;
  ldap_group_dn?: string;
}

const GROUPS = '/api/v2.0/usergroups';

export async function listGroups(name: string, of: Listing, signal: AbortSignal): Promise<Page<Group>> {
  const query = { ...listing(of), group_name: name };
  const { body, total } = await send<Group[]>('GET', GROUPS, { query, signal });
  return { rows: body, total };
}

/** Groups whose name has `part` in it. */
export async function searchGroups(part: string, signal: AbortSignal): Promise<Group[]> {
  const query = { groupname: part, page_size: 8 };
  return (await send<Group[]>('GET', `${GROUPS}/search`, { query, signal })).body;
}

export async function createGroup(group: Omit<Group, 'id'>): Promise<void> {
  await send('POST', GROUPS, { json: group });
}

export async function renameGroup(group: Group, name: string): Promise<void> {
  await send('PUT', `${GROUPS}/${group.id}`, { json: { ...group, group_name: name } });
}

export async function deleteGroup(id: number): Promise<void> {
  await send('DELETE', `${GROUPS}/${id}`);
}
