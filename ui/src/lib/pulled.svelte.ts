/** What is pulled, from this registry, with the client that the reader chose. */
import { preference } from './preference.svelte';
import { type Client, clientsFor, pullCommand, type Target } from './pull';
import { session } from './session.svelte';

/** An artifact of this registry. */
export type Pulled = Omit<Target, 'host'>;

/** The registry's name as clients write it. */
export function host(): string {
  return session.info?.registry_url ?? location.host;
}

export function target(of: Pulled): Target {
  return { ...of, host: host() };
}

/** The client chosen last if it can pull this kind, else the usual one. */
export function chosenClient(type: string): Client {
  const able = clientsFor(type);
  return able.find((client) => client === preference.pullClient) ?? able[0] ?? 'docker';
}

export function chosenReference(): 'tag' | 'digest' {
  return preference.pullBy;
}

/** The command to copy. */
export function command(of: Pulled): string {
  return pullCommand(chosenClient(of.type), target(of), chosenReference());
}
