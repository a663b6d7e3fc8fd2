/** What every list of the server takes. */
export interface Listing {
  page: number;
  pageSize: number;
  /** A field, with `-` in front for descending. */
  sort?: string;
  /** Conditions, as `condition.ts` builds them. */
  q?: string;
}

/** The parameters of a list on the wire. */
export function listing(of: Listing): Record<string, string | number | undefined> {
  return { page: of.page, page_size: of.pageSize, sort: of.sort, q: of.q };
}

/** A page of a list, and how many rows there are in all. */
export interface Page<T> {
  rows: T[];
  total: number;
}
