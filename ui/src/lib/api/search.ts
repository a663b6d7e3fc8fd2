/** Finding projects and repositories by a part of their names, in all that the reader may see. */
import { send } from '../client';
import type { Project } from './types';

export interface FoundRepository {
  repository_name: string;
  project_name: string;
  project_public: boolean;
  artifact_count?: number;
  pull_count?: number;
}

export interface Found {
  project: Project[];
  repository: FoundRepository[];
}

/** How many of a kind the server names at most. */
export const MOST = 1000;

export async function searchAll(part: string, signal: AbortSignal): Promise<Found> {
  return (await send<Found>('GET', '/api/v2.0/search', { query: { q: part }, signal })).body;
}
