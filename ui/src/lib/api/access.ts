/** Why somebody may do something, or may not. */
import { send } from '../client';

export interface Reason {
  allows: boolean;
  kind: string;
  /** In the server's words. */
  text: string;
}

export interface Explanation {
  allowed: boolean;
  reasons: Reason[];
}

/** `subject`: `user:NAME`, `robot:NAME`, `group:NAME` or `anonymous`; `action`: `RESOURCE:ACTION`. */
export async function explain(
  subject: string,
  action: string,
  project: string,
  signal: AbortSignal,
): Promise<Explanation> {
  const query = { subject, action, project };
  return (await send<Explanation>('GET', '/api/ext/v1/access/explain', { query, signal })).body;
}
