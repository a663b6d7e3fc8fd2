/** Data from the server for a page: what it depends on is noticed, old data stays while new is on its way, and all is
 *  loaded again when the registry is back after having been out of reach. What changes by itself is asked for again
 *  while the page is seen, without keeping the session alive. */
import { untrack } from 'svelte';
import { connection } from './connection.svelte';
import { ApiError } from './client';

/** How often a page that is looked at asks for what was pushed meanwhile, in milliseconds. */
export const PUSHED = 10_000;

/** Milliseconds before a skeleton or line says that something is loading. */
const PATIENCE = 150;

export class Query<T> {
  data = $state.raw<T>();
  error = $state.raw<ApiError>();
  busy = $state(true);
  /** Busy for so long that it should be seen. */
  slow = $state(false);
  #turn = $state(0);
  /** The next load was asked for by the clock. */
  #background = false;

  /** Runs `load` now and whenever what it reads before its first await changes. Call while a component is set up.
   *  `every`: milliseconds after which the page asks again by itself. */
  constructor(load: (signal: AbortSignal, background: boolean) => Promise<T>, every?: () => number) {
    $effect(() => {
      void this.#turn;
      void connection.returned;
      const background = this.#background;
      this.#background = false;
      const abort = new AbortController();
      const work = load(abort.signal, background);
      untrack(() => void this.#settle(work, abort.signal, background));
      return () => abort.abort();
    });
    if (every) $effect(() => this.#watch(every()));
  }

  #watch(milliseconds: number): () => void {
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible' || untrack(() => this.busy)) return;
      this.#background = true;
      this.#turn += 1;
    }, milliseconds);
    return () => clearInterval(timer);
  }

  async #settle(work: Promise<T>, signal: AbortSignal, background: boolean): Promise<void> {
    this.busy = true;
    const timer = background ? undefined : setTimeout(() => (this.slow = true), PATIENCE);
    signal.addEventListener('abort', () => clearTimeout(timer));
    try {
      const data = await work;
      if (signal.aborted) return;
      this.data = data;
      this.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
      // What is shown stays when a look of the clock fails.
      if (!background)
        this.error = error instanceof ApiError ? error : new ApiError(0, 'DEFECT', String(error));
    }
    clearTimeout(timer);
    this.busy = false;
    this.slow = false;
  }

  /** Loads again, keeping what is shown. */
  reload = (): void => {
    this.#turn += 1;
  };
}
