/** What is the reader's own: what they see first, what they should know of, what they want at hand, what they may do. */
import { type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';

export interface HomeProject {
  project_id: number;
  name: string;
  public: boolean;
  repo_count: number;
  artifact_count: number;
  pull_count: number;
  roles: string[];
  update_time: string;
}

export interface HomeRepository {
  /** With its project's. */
  name: string;
  artifact_count: number;
  pull_count: number;
  update_time: string;
}

export interface Home {
  project_count: number;
  projects: HomeProject[];
  repositories: HomeRepository[];
}

export interface Notice {
  id: string;
  kind: string;
  severity: 'info' | 'warning' | 'error';
  project_id?: number;
  /** What it is about: a name, or a number. */
  subject: string;
  /** In the server's words. */
  text: string;
  time?: string;
}

/** Names; what they name may be gone. */
export interface Favourites {
  projects: string[];
  repositories: string[];
}

/** What the reader may do in a project, and by which roles. */
export interface OwnAccess {
  project_id: number;
  project_name: string;
  public: boolean;
  permissions: string[];
  roles: { role: string; group?: string }[];
}

const EXT = '/api/ext/v1';

/** Names what this server can do besides Harbor's API. */
export async function capabilities(): Promise<Set<string>> {
  const { body } = await send<{ features: Record<string, number> }>('GET', `${EXT}/capabilities`);
  return new Set(Object.keys(body.features));
}

export async function home(signal: AbortSignal): Promise<Home> {
  return (await send<Home>('GET', `${EXT}/home`, { signal })).body;
}

export async function listNotices(options: Options): Promise<Notice[]> {
  return (await send<Notice[]>('GET', `${EXT}/notices`, options)).body;
}

/** Takes a notice away, until what it is about gets worse. */
export async function dismissNotice(id: string): Promise<void> {
  await send('DELETE', `${EXT}/notices/${encodeURIComponent(id)}`);
}

export async function getFavourites(options: Options): Promise<Favourites> {
  return (await send<Favourites>('GET', `${EXT}/me/favourites`, options)).body;
}

export async function setFavourites(favourites: Favourites): Promise<void> {
  await send('PUT', `${EXT}/me/favourites`, { json: favourites });
}

export async function listOwnAccess(of: Listing, signal: AbortSignal): Promise<Page<OwnAccess>> {
  const { body, total } = await send<OwnAccess[]>('GET', `${EXT}/me/access`, { query: listing(of), signal });
  return { rows: body, total };
}
