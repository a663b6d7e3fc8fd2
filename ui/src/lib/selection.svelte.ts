/** Rows ticked on the page of a table; rows that are gone are ticked no longer. */
export class Selection<K> {
  #ticked = $state.raw<Set<K>>(new Set());
  readonly #rows: () => K[];

  /** `rows`: the keys of the rows shown now. */
  constructor(rows: () => K[]) {
    this.#rows = rows;
  }

  get chosen(): K[] {
    return this.#rows().filter((key) => this.#ticked.has(key));
  }

  get some(): boolean {
    return this.chosen.length > 0;
  }

  get all(): boolean {
    return this.some && this.chosen.length === this.#rows().length;
  }

  has(key: K): boolean {
    return this.#ticked.has(key);
  }

  toggle(key: K, on: boolean): void {
    const next = new Set(this.#ticked);
    if (on) next.add(key);
    else next.delete(key);
    this.#ticked = next;
  }

  toggleAll(on: boolean): void {
    this.#ticked = new Set(on ? this.#rows() : []);
  }
}
