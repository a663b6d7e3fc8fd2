/** The installation: what it is, whether it is well, how much space there is. */
import { type Options, send } from '../client';
import type { Health, SystemInfo } from './types';

/** Describes the installation. Only an account sees `harbor_version` and what follows it. */
export async function systemInfo(options: Options = {}): Promise<SystemInfo> {
  return (await send<SystemInfo>('GET', '/api/v2.0/systeminfo', options)).body;
}

/** The components that Gantry has; the others that Harbor's form names are always well. */
const OWN = ['core', 'database', 'registry'];

/** Which components are well; asked in the background, it does not keep a session alive. */
export async function health(signal: AbortSignal): Promise<Health> {
  const { body } = await send<Health>('GET', '/api/v2.0/health', { signal, background: true });
  const shown = body.components.filter(({ name, status }) => OWN.includes(name) || status !== 'healthy');
  return { ...body, components: shown };
}

/** Bytes of the file system of the data folder. */
export async function volume(signal: AbortSignal): Promise<{ free: number; total: number }> {
  type Volumes = { storage: { free: number; total: number }[] };
  const { body } = await send<Volumes>('GET', '/api/v2.0/systeminfo/volumes', { signal });
  return body.storage[0] ?? { free: 0, total: 0 };
}
