/** Tags of a repository, a row each, and what each of them named before. */
import { type Options, send } from '../client';
import { tagsAt } from './artifact';
import type { Label } from './label';
import { type Listing, listing, type Page } from './list';
import { BY_NAME } from './project';

/** A tag with what is known of its artifact. */
export interface TagRow {
  name: string;
  digest: string;
  type: string;
  size: number;
  /** `os/architecture[/variant]` */
  platforms: string[];
  labels?: Label[] | null;
  immutable: boolean;
  /** Whether it has a signature; whether that is valid is not said. */
  signed: boolean;
  sbom: boolean;
  push_time: string;
  pull_time: string;
  pull_count: number;
}

/** A digest that a tag named, from when on. */
export interface Naming {
  digest: string;
  time: string;
  /** Who set it; not there for what was set on the machine itself. */
  username?: string;
  /** Whether its artifact is still there. */
  available: boolean;
}

export async function listTags(
  project: string,
  name: string,
  page: Listing,
  options: Options,
): Promise<Page<TagRow>> {
  const asked = { ...options, query: listing(page), headers: BY_NAME };
  const { body, total } = await send<TagRow[]>('GET', tagsAt(project, name), asked);
  return { rows: body, total };
}

export async function tagHistory(
  project: string,
  name: string,
  tag: string,
  page: Listing,
  signal: AbortSignal,
): Promise<Page<Naming>> {
  const options = { query: listing(page), headers: BY_NAME, signal };
  const path = `${tagsAt(project, name)}/${encodeURIComponent(tag)}/history`;
  const { body, total } = await send<Naming[]>('GET', path, options);
  return { rows: body, total };
}

/** Sets a tag back to a digest that it named. */
export async function restoreTag(project: string, name: string, tag: string, digest: string): Promise<void> {
  const path = `${tagsAt(project, name)}/${encodeURIComponent(tag)}/restore`;
  await send('POST', path, { json: { digest }, headers: BY_NAME });
}
