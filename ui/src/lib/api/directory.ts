/** The directory (LDAP): trying it out, its people and its groups. For system administrators. */
import { ApiError, send } from '../client';
import type { components } from './schema';

type Schemas = components['schemas'];
/** The directory of a test; what is left out is as it is stored. */
export type DirectoryConf = Schemas['LdapConf'];
/** A person of the directory, who need not be a user here. */
export type DirectoryPerson = Schemas['LdapUser'];
/** A group of the directory, which need not be one here. */
export type DirectoryGroup = Schemas['LdapGroup'];
/** Who was not imported: `unknown_user`, or why in the server's words. */
export type NotImported = Schemas['LdapFailedImportUser'];

const LDAP = '/api/v2.0/ldap';
/** People that one request imports. */
const BATCH = 500;

/** Tries the directory out; why it does not work, or nothing. */
export async function pingDirectory(conf: DirectoryConf): Promise<string | undefined> {
  const { body } = await send<Schemas['LdapPingResult']>('POST', `${LDAP}/ping`, { json: conf });
  return body.success ? undefined : (body.message ?? '');
}

/** All people of the directory, or those with exactly this name to sign in with. */
export async function searchDirectoryPeople(
  username: string | undefined,
  signal: AbortSignal,
): Promise<DirectoryPerson[]> {
  const query = { username };
  return (await send<DirectoryPerson[]>('GET', `${LDAP}/users/search`, { query, signal })).body;
}

/** All groups of the directory, or those with exactly this name. */
export async function searchDirectoryGroups(
  groupname: string | undefined,
  signal: AbortSignal,
): Promise<DirectoryGroup[]> {
  const query = { groupname };
  try {
    return (await send<DirectoryGroup[]>('GET', `${LDAP}/groups/search`, { query, signal })).body;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}

/** What came of an import. */
export interface Imported {
  failed: NotImported[];
  /** Those of whom nothing is known, because a request failed: some may be users here now. */
  left: string[];
  error?: ApiError;
}

/** Makes people of the directory users here, until a request fails. */
export async function importPeople(names: string[]): Promise<Imported> {
  const failed: NotImported[] = [];
  for (let at = 0; at < names.length; at += BATCH) {
    try {
      failed.push(...(await importBatch(names.slice(at, at + BATCH))));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { failed, left: names.slice(at), error };
    }
  }
  return { failed, left: [] };
}

async function importBatch(names: string[]): Promise<NotImported[]> {
  try {
    await send('POST', `${LDAP}/users/import`, { json: { ldap_uid_list: names } });
    return [];
  } catch (error) {
    if (error instanceof ApiError && error.status === 404 && Array.isArray(error.body))
      return error.body as NotImported[];
    throw error;
  }
}
