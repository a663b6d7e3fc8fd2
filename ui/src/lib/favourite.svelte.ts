/** The projects that the reader wants at hand, kept by the server, so that they are there in every browser. */
import { t } from '../i18n/index.svelte';
import { type Favourites, getFavourites, setFavourites } from './api/own';
import { ApiError } from './client';
import { sentence } from './fault';
import { onNewReader } from './session.svelte';
import { failed } from './toast.svelte';

let kept = $state.raw<Favourites>();
let asked = false;
/** Grows with each new reader: what was begun for another one counts no more. */
let reader = 0;
/** Marks are kept one after the other, each in what the server has then. */
let work = Promise.resolve();
let waiting = 0;

onNewReader(() => {
  kept = undefined;
  asked = false;
  reader += 1;
});

/** Loads them once. */
export async function loadFavourites(): Promise<void> {
  if (asked) return;
  asked = true;
  const by = reader;
  try {
    const found = await getFavourites({ background: true });
    if (by === reader) kept = found;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (by === reader) asked = false;
  }
}

/** Projects, in the order in which they were marked; nothing until they are loaded. */
export function favourites(): string[] | undefined {
  return kept?.projects;
}

/** Marks a project, or takes the mark off. It is seen at once; the rest stays as the server has it. */
export function toggleFavourite(name: string): Promise<void> {
  if (!kept) return work;
  const [on, by] = [!kept.projects.includes(name), reader];
  kept = marked(kept, name, on);
  waiting += 1;
  work = work.catch(() => undefined).then(() => keep(name, on, by));
  return work;
}

async function keep(name: string, on: boolean, by: number): Promise<void> {
  try {
    if (by !== reader) return;
    const next = marked(await getFavourites({}), name, on);
    if (by !== reader) return;
    await setFavourites(next);
    // Marks that wait are seen already.
    if (by === reader && waiting === 1) kept = next;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (by !== reader) return;
    if (kept) kept = marked(kept, name, !on);
    failed(t('favourites.notKept'), sentence(error));
  } finally {
    waiting -= 1;
  }
}

function marked(all: Favourites, name: string, on: boolean): Favourites {
  const others = all.projects.filter((other) => other !== name);
  if (on && others.length < all.projects.length) return all;
  return { ...all, projects: on ? [...others, name] : others };
}
