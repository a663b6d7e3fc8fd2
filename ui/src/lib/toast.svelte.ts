/** Short notes at the edge of the page: what is done goes by itself, what failed stays. */
export interface Toast {
  id: number;
  state: 'ok' | 'fail';
  title: string;
  text?: string;
}

const STAY = 6000;
const MOST = 3;
let last = 0;
export const toasts = $state<Toast[]>([]);

/** Says that something is done. */
export function done(title: string, text?: string): void {
  const id = add({ state: 'ok', title, text });
  setTimeout(() => dismiss(id), STAY);
}

/** Says that something failed. */
export function failed(title: string, text?: string): void {
  add({ state: 'fail', title, text });
}

export function dismiss(id: number): void {
  const at = toasts.findIndex((toast) => toast.id === id);
  if (at >= 0) toasts.splice(at, 1);
}

function add(toast: Omit<Toast, 'id'>): number {
  last += 1;
  toasts.push({ ...toast, id: last });
  if (toasts.length > MOST) toasts.shift();
  return last;
}
