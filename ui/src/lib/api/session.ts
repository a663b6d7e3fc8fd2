/** Signing in and out. */
import { send } from '../client';

export async function signIn(principal: string, password: string): Promise<void> {
  await send('POST', '/c/login', { form: { principal, password } });
}

export async function signOut(): Promise<void> {
  await send('GET', '/c/log_out');
}
