/** What this server can do besides Harbor's API: what it cannot is not shown. */
import { capabilities } from './api/own';
import { ApiError } from './client';

let known = $state.raw<Set<string>>(new Set());

/** Asks the server. One that does not say is taken to be able to do nothing. */
export async function learn(): Promise<void> {
  try {
    known = await capabilities();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

export function has(feature: string): boolean {
  return known.has(feature);
}
