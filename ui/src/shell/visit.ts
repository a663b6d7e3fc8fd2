/** Moves of the reader from page to page, so that the heading of the next one takes the focus once. */
let pending = false;

export const visits = {
  /** A page was left for another. */
  moved(): void {
    pending = true;
  },
  /** Whether the next heading takes the focus. */
  takeFocus(): boolean {
    const take = pending;
    pending = false;
    return take;
  },
};
