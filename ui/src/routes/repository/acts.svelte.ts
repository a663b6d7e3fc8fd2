/** What can be done with artifacts, chosen by their tags or by their digests. */
export type Act = 'add' | 'label' | 'copy' | 'delete';

/** The act whose dialog is open, and the rows that it is about. */
export class Acting<T extends { digest: string }> {
  #now = $state.raw<{ act: Act; rows: T[] }>();

  get act(): Act | undefined {
    return this.#now?.act;
  }

  get rows(): T[] {
    return this.#now?.rows ?? [];
  }

  begin(act: Act, rows: T[]): void {
    this.#now = { act, rows };
  }

  end(): void {
    this.#now = undefined;
  }
}
