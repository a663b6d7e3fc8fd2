/** Other registries, which policies copy to and from. The types follow Harbor's contract. */
import { type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';

export interface Registry {
  /** 0 is this registry itself. */
  id: number;
  name: string;
  description?: string;
  /** The adapter: `harbor`, `docker-registry`. */
  type: string;
  url: string;
  credential?: { type?: string; access_key?: string; access_secret?: string };
  /** Whether its certificate is not verified. */
  insecure?: boolean;
  /** Authorities for its certificate, in PEM. */
  ca_certificate?: string;
  /** `healthy` or `unhealthy`. */
  status?: string;
  /** Why it could not be used when it was last looked at, in the server's words. */
  problem?: string;
}

/** What the form of a registry holds. */
export interface RegistryDraft {
  name: string;
  description: string;
  type: string;
  url: string;
  accessKey: string;
  /** Empty: what is stored stays. */
  accessSecret: string;
  insecure: boolean;
  ca: string;
}

/** What a type of registry says of addresses and accounts. */
export interface AdapterInfo {
  endpoint_pattern?: {
    endpoint_type?: string;
    endpoints?: { key: string; value: string }[] | null;
  } | null;
  credential_pattern?: {
    access_key_type?: string;
    access_key_data?: string;
    access_secret_type?: string;
  } | null;
}

/** What a registry can do as a source or destination. */
export interface RegistryInfo {
  supported_resource_filters?: { type: string; style: string; values?: string[] | null }[] | null;
  supported_triggers?: string[] | null;
  supported_copy_by_chunk?: boolean;
}

const AT = '/api/v2.0/registries';

export async function listRegistries(of: Listing, options: Options): Promise<Page<Registry>> {
  const { body, total } = await send<Registry[]>('GET', AT, { ...options, query: listing(of) });
  return { rows: body, total };
}

export async function createRegistry(draft: RegistryDraft): Promise<void> {
  const { name, description, type, url, insecure, ca } = draft;
  const credential = draft.accessKey
    ? { type: 'basic', access_key: draft.accessKey, access_secret: draft.accessSecret }
    : undefined;
  const json = { name, description, type, url, insecure, ca_certificate: ca || undefined, credential };
  await send('POST', AT, { json });
}

/** Changes what differs from the stored registry; a secret only if one is given. */
export async function updateRegistry(before: Registry, draft: RegistryDraft): Promise<void> {
  const changes = {
    name: draft.name,
    description: draft.description,
    url: draft.url,
    insecure: draft.insecure,
    ca_certificate: draft.ca,
    ...credentialChange(before, draft),
  };
  await send('PUT', `${AT}/${before.id}`, { json: changes });
}

function credentialChange(before: Registry, { accessKey, accessSecret }: RegistryDraft) {
  if (accessKey === (before.credential?.access_key ?? '') && accessSecret === '') return {};
  const secret = accessSecret === '' && accessKey !== '' ? {} : { access_secret: accessSecret };
  return { credential_type: 'basic', access_key: accessKey, ...secret };
}

export async function deleteRegistry(id: number): Promise<void> {
  await send('DELETE', `${AT}/${id}`);
}

/** Tries a stored registry out; throws with the reason if it cannot be used. */
export async function pingRegistry(id: number): Promise<void> {
  await send('POST', `${AT}/ping`, { json: { id } });
}

/** Tries out what a form holds. Of a stored registry the server takes the stored address, so that no secret goes elsewhere. */
export async function pingDraft(draft: RegistryDraft, before: Registry | undefined): Promise<void> {
  const { type, url, insecure, ca, accessKey, accessSecret } = draft;
  const credential = accessKey ? { credential_type: 'basic', access_key: accessKey } : {};
  const secret = accessSecret ? { access_secret: accessSecret } : {};
  const same =
    before && before.url === url && !before.insecure === !insecure && (before.ca_certificate ?? '') === ca;
  const json = same
    ? { id: before.id, ...(accessSecret ? { ...credential, ...secret } : {}) }
    : { type, url, insecure, ca_certificate: ca || undefined, ...credential, ...secret };
  await send('POST', `${AT}/ping`, { json });
}

export async function registryInfo(id: number, signal: AbortSignal): Promise<RegistryInfo> {
  return (await send<RegistryInfo>('GET', `${AT}/${id}/info`, { signal })).body;
}

/** The types of registry that this server knows. */
export async function listAdapters(signal: AbortSignal): Promise<string[]> {
  return (await send<string[]>('GET', '/api/v2.0/replication/adapters', { signal })).body;
}

export async function adapterInfos(signal: AbortSignal): Promise<Record<string, AdapterInfo>> {
  const path = '/api/v2.0/replication/adapterinfos';
  return (await send<Record<string, AdapterInfo>>('GET', path, { signal })).body;
}
