/** The state of a table, which lives in the address: page, order, filter. */
import type { Listing } from './api/list';
import { type Condition, conditions } from './condition';
import { PAGE_SIZES, prefer, preference } from './preference.svelte';
import { router, setQuery } from './router.svelte';

export class ListState {
  readonly #order: string;

  /** `order`: how the list is sorted unless the address says otherwise. */
  constructor(order: string) {
    this.#order = order;
  }

  get page(): number {
    return Math.max(1, Number(router.query.get('page')) || 1);
  }

  get pageSize(): number {
    const asked = Number(router.query.get('page_size'));
    return PAGE_SIZES.includes(asked) ? asked : preference.pageSize;
  }

  get sort(): string {
    return router.query.get('sort') ?? this.#order;
  }

  /** What is typed into the filter. */
  get text(): string {
    return router.query.get('q') ?? '';
  }

  /** The value of one of the list's own filters. */
  filter(name: string): string {
    return router.query.get(name) ?? '';
  }

  /** Changes filters and goes to the first page. */
  set(changes: Record<string, string | undefined>, replace = false): void {
    setQuery({ ...changes, page: undefined }, replace);
  }

  goTo(page: number): void {
    setQuery({ page: page === 1 ? undefined : String(page) });
  }

  resize(pageSize: number): void {
    prefer({ pageSize });
    setQuery({ page: undefined, page_size: undefined });
  }

  /** Sorts by a field: ascending first, or descending first for times. */
  sortBy(field: string, descending: boolean): void {
    const [first, second] = descending ? [`-${field}`, field] : [field, `-${field}`];
    this.set({ sort: this.sort === first ? second : first });
  }

  /** How a column is sorted, for `aria-sort`. */
  order(field: string): 'ascending' | 'descending' | undefined {
    if (this.sort === field) return 'ascending';
    return this.sort === `-${field}` ? 'descending' : undefined;
  }

  /** The parameters on the wire, with these conditions. */
  listing(of: Record<string, Condition | undefined>): Listing {
    return { page: this.page, pageSize: this.pageSize, sort: this.sort || undefined, q: conditions(of) };
  }
}
