/** The projects that the reader wants at hand, kept by the server, so that they are there in every browser. */
import { t } from '../i18n/index.svelte';
import { type Favourites, getFavourites, setFavourites } from './api/own';
import { ApiError } from './client';
import { sentence } from './fault';
import { failed } from './toast.svelte';

let kept = $state.raw<Favourites>();
let asked = false;

/** Loads them once. */
export async function loadFavourites(): Promise<void> {
  if (asked) return;
  asked = true;
  try {
    kept = await getFavourites({ background: true });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    asked = false;
  }
}

/** Projects, in the order in which they were marked; nothing until they are loaded. */
export function favourites(): string[] | undefined {
  return kept?.projects;
}

/** Marks a project, or takes the mark off. */
export async function toggleFavourite(name: string): Promise<void> {
  if (!kept) return;
  const before = kept;
  const projects = before.projects.includes(name)
    ? before.projects.filter((other) => other !== name)
    : [...before.projects, name];
  kept = { ...before, projects };
  try {
    await setFavourites(kept);
  } catch (error) {
    kept = before;
    if (!(error instanceof ApiError)) throw error;
    failed(t('favourites.notKept'), sentence(error));
  }
}
