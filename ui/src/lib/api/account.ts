/** What people do about an account of their own before they sign in, and trying out mail. */
import { language } from '../../i18n/index.svelte';
import { send } from '../client';

/** What is possible before signing in. */
export interface AccountOptions {
  self_registration: boolean;
  /** A new account signs in once the link is opened that is mailed to its address. */
  address_verified: boolean;
  /** A new password can be set by a mailed link. */
  password_reset: boolean;
}

/** A step on the way of a mail. */
export interface MailStep {
  step: 'settings' | 'resolve' | 'connect' | 'encrypt' | 'sign_in' | 'send';
  ok: boolean;
  /** What is wrong. */
  detail: string;
  elapsed_ms: number;
}

/** Mails are written in the language of the page. */
const written = () => ({ 'Accept-Language': language() });

export async function accountOptions(signal?: AbortSignal): Promise<AccountOptions> {
  return (await send<AccountOptions>('GET', '/api/ext/v1/accounts/options', { signal })).body;
}

/** Whether somebody has a name or a mail address already. */
export async function isTaken(target: 'username' | 'email', value: string): Promise<boolean> {
  // Its answer brings the token that the next request needs.
  await send('GET', '/c/login');
  return (await send<boolean>('POST', '/c/userExists', { form: { target, value } })).body;
}

/** Makes an account for the reader. */
export async function register(account: {
  username: string;
  realname: string;
  email: string;
  password: string;
}): Promise<void> {
  await send('POST', '/api/v2.0/users', { json: account, headers: written() });
}

/** An account that signs in already needs its password too: 412 without it. */
export async function verifyAddress(token: string, password?: string): Promise<void> {
  await send('POST', '/api/ext/v1/users/verify', { json: { token, password } });
}

/** Asks for a mail with a link; the answer does not tell whether an account has the address. */
export async function forgotPassword(email: string): Promise<void> {
  await send('POST', '/api/ext/v1/password/forgot', { json: { email }, headers: written() });
}

export async function resetPassword(token: string, next: string): Promise<void> {
  await send('POST', '/api/ext/v1/password/reset', { json: { token, new_password: next } });
}

/** Sends a mail with the settings that are saved; what worked, step by step. */
export async function testMail(to: string): Promise<MailStep[]> {
  const { body } = await send<{ steps: MailStep[] }>('POST', '/api/ext/v1/mail/test', { json: { to } });
  return body.steps;
}
