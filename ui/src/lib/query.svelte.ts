/** Data from the server for a page: what it depends on is noticed, old data stays while new is on its way, and all is
 *  loaded again when the registry is back after having been out of reach. */
import { untrack } from 'svelte';
import { connection } from './connection.svelte';
import { ApiError } from './client';

/** Milliseconds before a skeleton or line says that something is loading. */
const PATIENCE = 150;

export class Query<T> {
  data = $state.raw<T>();
  error = $state.raw<ApiError>();
  busy = $state(true);
  /** Busy for so long that it should be seen. */
  slow = $state(false);
  #turn = $state(0);

  /** Runs `load` now and whenever what it reads before its first await changes. Call while a component is set up. */
  constructor(load: (signal: AbortSignal) => Promise<T>) {
    $effect(() => {
      void this.#turn;
      void connection.returned;
      const abort = new AbortController();
      const work = load(abort.signal);
      untrack(() => void this.#settle(work, abort.signal));
      return () => abort.abort();
    });
  }

  async #settle(work: Promise<T>, signal: AbortSignal): Promise<void> {
    this.busy = true;
    const timer = setTimeout(() => (this.slow = true), PATIENCE);
    signal.addEventListener('abort', () => clearTimeout(timer));
    try {
      const data = await work;
      if (signal.aborted) return;
      this.data = data;
      this.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
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
