/** Settings of the installation. */
import { send } from '../client';

export type Value = string | number | boolean;
/** By name: the value, and whether it can be changed here. */
export type Settings = Record<string, { value: Value; editable: boolean } | undefined>;

const CONFIGURATIONS = '/api/v2.0/configurations';

export async function listSettings(signal?: AbortSignal): Promise<Settings> {
  return (await send<Settings>('GET', CONFIGURATIONS, { signal })).body;
}

/** Changes the settings that are given, all or none. */
export async function changeSettings(changes: Record<string, Value>): Promise<void> {
  await send('PUT', CONFIGURATIONS, { json: changes });
}

/** Whether people can sign in by a directory. */
export function hasDirectory(settings: Settings | undefined): boolean {
  return Boolean(settings?.ldap_url?.value && settings.ldap_base_dn?.value);
}

/** Asks an OIDC provider whether it is one; why not is the error's message. */
export async function testOidc(url: string, verify: boolean): Promise<void> {
  await send('POST', '/api/v2.0/system/oidc/ping', { json: { url, verify_cert: verify } });
}
