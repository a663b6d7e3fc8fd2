/** Rows of the table on a page, for the keys that move among them. */
const ROWS = 'main tbody tr:not(.detail)';
/** What of a row takes the focus: where it leads, else what can be done with it. */
const FIRST = 'a[href], button, input';

/** The row that the focus is in. */
function current(): Element | undefined {
  return document.activeElement?.closest(ROWS) ?? undefined;
}

/** Moves the focus to the next row, or the one before. */
export function step(by: 1 | -1): void {
  const rows = [...document.querySelectorAll(ROWS)];
  const at = rows.findIndex((row) => row === current());
  const next = at < 0 ? rows[0] : rows[at + by];
  const target = next?.querySelector<HTMLElement>('.row-link') ?? next?.querySelector<HTMLElement>(FIRST);
  target?.focus();
}

/** A part of the row that the focus is in. */
export function inRow(selector: string): HTMLElement | undefined {
  return current()?.querySelector<HTMLElement>(selector) ?? undefined;
}
