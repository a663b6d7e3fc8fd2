/** Signing in and out, and the sessions of one's own account. */
import { ApiError, send } from '../client';
import { type Listing, listing, type Page } from './list';

/** A browser in which the account is signed in. */
export interface Session {
  id: number;
  /** The address that it began from. */
  address: string;
  /** What the browser called itself then. */
  agent: string;
  created_at: string;
  renewed_at: string;
  expires_at: string;
  /** Whether it is this browser. */
  current: boolean;
}

const SESSIONS = '/api/ext/v1/me/sessions';

export async function signIn(principal: string, password: string): Promise<void> {
  // Its answer brings the token that the next request needs.
  await send('GET', '/c/login');
  await send('POST', '/c/login', { form: { principal, password } });
}

/** Ends the session. Where one ends that began with an identity provider, the browser has to go. */
export async function signOut(): Promise<string | undefined> {
  try {
    await send('GET', '/c/log_out');
  } catch (error) {
    const elsewhere = error instanceof ApiError && error.status === 403;
    if (!elsewhere) throw error;
    return '/c/oidc/logout';
  }
  return undefined;
}

/** Makes an account for whoever comes from the identity provider and is new. */
export async function onboard(username: string): Promise<void> {
  // Its answer brings the token that the next request needs.
  await send('GET', '/c/login');
  await send('POST', '/c/oidc/onboard', { json: { username } });
}

export async function listSessions(of: Listing, signal: AbortSignal): Promise<Page<Session>> {
  const { body, total } = await send<Session[]>('GET', SESSIONS, { query: listing(of), signal });
  return { rows: body, total };
}

/** When this browser's session ends if nothing is done until then; looking does not keep it alive. */
export async function sessionEnd(): Promise<Date | undefined> {
  const query = listing({ page: 1, pageSize: 100, sort: '-renewed_at' });
  const { body } = await send<Session[]>('GET', SESSIONS, { query, background: true });
  const current = body.find((session) => session.current);
  return current && new Date(current.expires_at);
}

/** Signs a browser out. */
export async function endSession(id: number): Promise<void> {
  await send('DELETE', `${SESSIONS}/${id}`);
}
