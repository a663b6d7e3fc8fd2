/** The same act on many objects: six at once, each with its own result. */
import { ApiError } from './client';

const AT_ONCE = 6;

export interface Failure<T> {
  item: T;
  error: ApiError;
}

/** Runs `act` on every item; those that failed, in the items' order. `progress` is told how many are done. */
export async function each<T>(
  items: readonly T[],
  act: (item: T) => Promise<void>,
  progress: (done: number) => void = () => undefined,
): Promise<Failure<T>[]> {
  const failures = new Map<number, Failure<T>>();
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next;
      next += 1;
      const item = items[at] as T;
      try {
        await act(item);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        failures.set(at, { item, error });
      }
      done += 1;
      progress(done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return [...failures].sort(([a], [b]) => a - b).map(([, failure]) => failure);
}
