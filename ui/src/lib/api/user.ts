/** Accounts. */
import { language } from '../../i18n/index.svelte';
import { send } from '../client';
import { type Listing, listing, type Page } from './list';
import type { Found, Permission, User } from './types';

const USERS = '/api/v2.0/users';

/** What an account says about itself. */
export interface Profile {
  email: string;
  realname: string;
  comment: string;
}

export async function currentUser(): Promise<User> {
  return (await send<User>('GET', `${USERS}/current`)).body;
}

export async function listUsers(of: Listing, signal: AbortSignal): Promise<Page<User>> {
  const { body, total } = await send<User[]>('GET', USERS, { query: listing(of), signal });
  return { rows: body, total };
}

/** Accounts whose name has `part` in it, shortest names first. */
export async function searchUsers(part: string, signal: AbortSignal): Promise<Found[]> {
  const query = { username: part, page_size: 8 };
  return (await send<Found[]>('GET', `${USERS}/search`, { query, signal })).body;
}

export async function createUser(user: Profile & { username: string; password: string }): Promise<void> {
  await send('POST', USERS, { json: user });
}

/** Changes what an account says about itself. Mails about its address are written in the language of the page. */
export async function updateProfile(id: number, profile: Profile): Promise<void> {
  const headers = { 'Accept-Language': language() };
  await send('PUT', `${USERS}/${id}`, { json: profile, headers });
}

/** Sets a password; one's own needs the old one. */
export async function setPassword(id: number, next: string, old?: string): Promise<void> {
  await send('PUT', `${USERS}/${id}/password`, { json: { old_password: old, new_password: next } });
}

/** Replaces the CLI secret by a random one. */
export async function rotateCliSecret(id: number): Promise<void> {
  await send('PUT', `${USERS}/${id}/cli_secret`, { json: {} });
}

export async function setSysadmin(id: number, on: boolean): Promise<void> {
  await send('PUT', `${USERS}/${id}/sysadmin`, { json: { sysadmin_flag: on } });
}

export async function getUser(id: number, signal: AbortSignal): Promise<User> {
  return (await send<User>('GET', `${USERS}/${id}`, { signal })).body;
}

/** The account belongs to the person whom the OIDC provider calls `subject`. */
export async function joinUser(id: number, subject: string): Promise<void> {
  await send('PUT', `/api/ext/v1/users/${id}/identity`, { json: { subject } });
}

/** The account belongs to no person of the OIDC provider any more. */
export async function unlinkUser(id: number): Promise<void> {
  await send('DELETE', `/api/ext/v1/users/${id}/identity`);
}

export async function deleteUser(id: number): Promise<void> {
  await send('DELETE', `${USERS}/${id}`);
}

/** What the caller may do in a project, as `resource:action`; the project itself is `.`. */
export async function permissionsIn(project: number): Promise<Set<string>> {
  const query = { scope: `/project/${project}`, relative: true };
  const { body } = await send<Permission[]>('GET', `${USERS}/current/permissions`, { query });
  return new Set(body.map(({ resource, action }) => `${resource}:${action}`));
}
