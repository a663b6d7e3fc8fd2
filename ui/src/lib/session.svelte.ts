/** Who the reader is: the account, what the installation says to it, and what happens when the session ends. */
import { sessionEnd, signIn as postSignIn, signOut as getSignOut } from './api/session';
import { systemInfo } from './api/system';
import type { SystemInfo, User } from './api/types';
import { currentUser } from './api/user';
import { learn } from './capability.svelte';
import { ApiError, isCsrf, onLostSession } from './client';
import { go, router } from './router.svelte';

/** How often a visible page looks whether its session still is, and how long before its end it says so, in milliseconds. */
const [PULSE, SOON] = [60_000, 150_000];

export const session = $state<{
  /** Unset until the first answer. */
  info?: SystemInfo;
  user?: User;
  /** Why there is no answer. */
  fault?: ApiError;
  /** The session ended: a dialog asks to sign in again. */
  expired: boolean;
  /** When it ends, if that is soon. */
  ends?: Date;
}>({ expired: false });

let waiting: ((signedIn: boolean) => void)[] = [];
/** What forgets what was learnt as another reader. */
const acts: (() => void)[] = [];

/** Adds to what is done when somebody else begins to read: signing in and out, not signing in again. */
export function onNewReader(act: () => void): void {
  acts.push(act);
}

function forget(): void {
  for (const act of acts) act();
}

/** The session is over: the reader is nobody from now on. */
export function becomeNobody(): void {
  session.user = undefined;
  forget();
}

/** Why a sign-in did not work. */
export type Refusal = 'wrong' | 'unverified' | 'throttled' | 'cookies' | 'elsewhere' | 'down' | 'other';

/** Whether the reader has an account, as soon as the server has said it. */
let greeting = Promise.resolve(false);

/** Whether the reader is signed in, for what is asked for before all is known of them. */
export function isSignedIn(): Promise<boolean> {
  return session.info ? Promise.resolve(session.user !== undefined) : greeting;
}

/** Learns who the reader is. Anonymous readers cost no request that fails. */
export async function begin(): Promise<void> {
  session.fault = undefined;
  const asked = systemInfo();
  greeting = asked.then(isAccount, () => false);
  try {
    const [info] = await Promise.all([asked, learn()]);
    session.user = isAccount(info) ? await currentUser() : undefined;
    session.info = info;
    onLostSession(lost);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    session.fault = error;
  }
}

/** Only an account is told the version. */
function isAccount(info: SystemInfo): boolean {
  return Boolean(info.harbor_version);
}

/** Watches for the end of the session while the page is seen, without keeping it alive. */
export function watchSession(): void {
  const look = () => {
    if (document.visibilityState === 'visible' && session.user && !session.expired) void lookAtEnd();
  };
  setInterval(look, PULSE);
  document.addEventListener('visibilitychange', look);
}

async function lookAtEnd(): Promise<void> {
  try {
    const end = await sessionEnd();
    session.ends = end && end.getTime() - Date.now() < SOON ? end : undefined;
  } catch {
    await lost();
  }
}

/** Does something, so that the session goes on. */
export async function stayIn(): Promise<void> {
  session.info = await systemInfo();
  await lookAtEnd();
}

/** Asks the server whether there still is a session; if not, waits for a new sign-in. */
async function lost(error?: ApiError): Promise<boolean> {
  if (!session.user) return false;
  try {
    const info = await systemInfo({ background: true });
    if (isAccount(info)) return false;
  } catch {
    return false;
  }
  session.expired = true;
  if (!error) return false;
  return new Promise((resolve) => waiting.push(resolve));
}

/** Signs in; what went wrong, if anything. */
export async function signIn(
  principal: string,
  password: string,
): Promise<{ refusal: Refusal; wait?: number } | undefined> {
  try {
    await postSignIn(principal, password);
    const info = await systemInfo();
    if (!isAccount(info)) return { refusal: 'cookies' };
    const user = await currentUser();
    if (session.expired && session.user && session.user.user_id !== user.user_id) location.reload();
    if (session.user?.user_id !== user.user_id) forget();
    Object.assign(session, { info, user });
    settle(true);
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): { refusal: Refusal; wait?: number } {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 0 || error.status === 503) return { refusal: 'down', wait: error.retryAfter };
  if (error.status === 429) return { refusal: 'throttled', wait: error.retryAfter };
  if (error.status === 401) return { refusal: 'wrong' };
  if (error.status === 412) return { refusal: 'unverified' };
  if (isCsrf(error)) return { refusal: 'cookies' };
  return { refusal: error.status === 403 ? 'elsewhere' : 'other' };
}

/** Gives up on signing in again: the page stays as it is, the requests that waited fail. */
export function stayOut(): void {
  settle(false);
}

function settle(signedIn: boolean): void {
  session.expired = false;
  session.ends = undefined;
  for (const resolve of waiting) resolve(signedIn);
  waiting = [];
}

/** Ends the session and goes to the page of signing in. */
export async function signOut(): Promise<void> {
  const elsewhere = await getSignOut();
  if (elsewhere) {
    location.assign(elsewhere);
    return;
  }
  becomeNobody();
  try {
    session.info = await systemInfo();
  } catch (error) {
    // The session has ended all the same.
    if (!(error instanceof ApiError)) throw error;
  }
  await go('/ui/login');
}

/** The page of signing in, which leads back here. */
export function loginAddress(): string {
  return `/ui/login?redirect_url=${encodeURIComponent(router.address)}`;
}

/** Whether the reader may do everything. */
export function isSysadmin(): boolean {
  return session.user?.sysadmin_flag ?? false;
}

/** The tab of the reader's account for what they sign in with: whom an identity provider knows has no password here, but
 *  a secret for programs. */
export function secretTab(): 'password' | 'cli' {
  return session.user?.oidc_user_meta ? 'cli' : 'password';
}

/** Whether the reader may make projects. */
export function mayCreateProject(): boolean {
  if (!session.user) return false;
  return isSysadmin() || session.info?.project_creation_restriction !== 'adminonly';
}
