/** Repositories of a project. */
import { type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';
import type { Repository } from './types';

const of = (project: string) => `/api/v2.0/projects/${encodeURIComponent(project)}/repositories`;

/** Slashes in a repository's name are encoded twice, so that no proxy takes them for the path's own. */
export const encoded = (name: string) => encodeURIComponent(encodeURIComponent(name));

export const repositoryAt = (project: string, name: string) => `${of(project)}/${encoded(name)}`;

export async function listRepositories(
  project: string,
  page: Listing,
  options: Options,
): Promise<Page<Repository>> {
  const asked = { ...options, query: listing(page) };
  const { body, total } = await send<Repository[]>('GET', of(project), asked);
  return { rows: body, total };
}

export async function getRepository(project: string, name: string, signal: AbortSignal): Promise<Repository> {
  return (await send<Repository>('GET', repositoryAt(project, name), { signal })).body;
}

/** How long a description may be, in bytes. */
export const LONGEST_DESCRIPTION = 65_536;

/** Says what a repository is for, in Markdown; nothing for an empty text. */
export async function describeRepository(project: string, name: string, description: string): Promise<void> {
  await send('PUT', repositoryAt(project, name), { json: { description } });
}

export async function deleteRepository(project: string, name: string): Promise<void> {
  await send('DELETE', repositoryAt(project, name));
}

/** A repository's name without its project's. */
export function shortName(full: string): string {
  return full.slice(full.indexOf('/') + 1);
}
