/** The one way to the server: REST below `/api` and the session below `/c`. Adds the CSRF token, tries once more with a
 *  new one, reads counts and errors. What to do about a lost session or connection is for `onLost` to say. */
import { lose, regain } from './connection.svelte';

/** A request that was not answered with success. `status` 0: there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** The code in Harbor's error body, such as `FORBIDDEN`. */
    readonly code: string,
    message: string,
    readonly requestId?: string,
    /** Seconds to wait, if the server said. */
    readonly retryAfter?: number,
    /** What the answer holds, if it is JSON. */
    readonly body?: unknown,
  ) {
    super(message);
  }
}

export interface Options {
  query?: Record<string, string | number | boolean | undefined>;
  json?: unknown;
  form?: Record<string, string>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Not asked for by a person: does not keep the session alive, and does not ask for a new sign-in. */
  background?: boolean;
}

/** A successful answer: its body if it is JSON, and the number of rows that a list has in all. */
export interface Answer<T> {
  body: T;
  total: number;
}

const CSRF = 'X-Harbor-CSRF-Token';
const SAFE = new Set(['GET', 'HEAD']);
let csrf: string | undefined;
/** Asks for a new sign-in; whether there was one. */
let signInAgain: (error: ApiError) => Promise<boolean> = () => Promise.resolve(false);

/** Sets who is asked when an answer says that the session is over. */
export function onLostSession(ask: (error: ApiError) => Promise<boolean>): void {
  signInAgain = ask;
}

/** Sends a request. Throws `ApiError`, or the `AbortError` of `options.signal`. */
export async function send<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  try {
    return await attempt<T>(method, path, options);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const again = await worthAgain(error, path, options);
    if (!again) throw error;
    return attempt<T>(method, path, options);
  }
}

async function worthAgain(error: ApiError, path: string, options: Options): Promise<boolean> {
  if (isCsrf(error)) return true;
  const own = path.startsWith('/c/') || options.background;
  return !own && (error.status === 401 || error.status === 403) && (await signInAgain(error));
}

/** Whether the server refused the token against forged requests. */
export function isCsrf(error: ApiError): boolean {
  return error.status === 403 && /csrf/i.test(error.message);
}

async function attempt<T>(method: string, path: string, options: Options): Promise<Answer<T>> {
  const response = await reach(method, path, options);
  csrf = response.headers.get(CSRF) ?? csrf;
  if ([502, 503, 504].includes(response.status) && !(await isOurs(response))) {
    lose();
    throw new ApiError(0, 'UNREACHABLE', '');
  }
  regain();
  if (!response.ok) throw await failure(response);
  return { body: await content<T>(response), total: Number(response.headers.get('X-Total-Count') ?? 0) };
}

async function reach(method: string, path: string, options: Options): Promise<Response> {
  const headers = new Headers({ Accept: 'application/json', ...options.headers });
  if (options.background) headers.set('X-Harbor-No-Session-Renewal', 'true');
  if (!SAFE.has(method) && csrf) headers.set(CSRF, csrf);
  if (options.json !== undefined) headers.set('Content-Type', 'application/json');
  const body = options.form ? new URLSearchParams(options.form) : JSON.stringify(options.json);
  try {
    const init = { method, headers, body, signal: options.signal, credentials: 'same-origin' as const };
    return await fetch(path + queryOf(options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    lose();
    throw new ApiError(0, 'UNREACHABLE', '');
  }
}

/** Whether an answer of the 5xx kind is the registry's own, not that of something in front of it. */
async function isOurs(response: Response): Promise<boolean> {
  return (response.headers.get('Content-Type') ?? '').includes('json');
}

function queryOf(query: Options['query']): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : '';
}

async function content<T>(response: Response): Promise<T> {
  const text = await response.text();
  const json = (response.headers.get('Content-Type') ?? '').includes('json');
  return (json && text ? JSON.parse(text) : text) as T;
}

async function failure(response: Response): Promise<ApiError> {
  let body: { errors?: { code?: string; message?: string }[] } | undefined;
  try {
    body = (await response.json()) as typeof body;
  } catch {
    // Not every error has a body.
  }
  const first = body?.errors?.[0];
  return new ApiError(
    response.status,
    first?.code ?? '',
    first?.message ?? '',
    response.headers.get('X-Request-Id') ?? undefined,
    Number(response.headers.get('Retry-After')) || undefined,
    body,
  );
}
