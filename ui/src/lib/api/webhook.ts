/** Webhooks of a project: its policies in Harbor's form, what they sent, and whether their receivers answer. */
import { type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';

export interface WebhookTarget {
  /** `http` or `slack`. */
  type: string;
  address: string;
  /** `*****` where there is one. */
  auth_header?: string;
  /** `*****` where there is one. */
  secret?: string;
  skip_cert_verify?: boolean;
  /** `Default` or `CloudEvents`. */
  payload_format?: string;
}

export interface WebhookPolicy {
  id: number;
  name: string;
  description?: string;
  enabled?: boolean;
  event_types: string[];
  targets: WebhookTarget[];
  /** `false` where pushes without a tag are left out. */
  untagged?: boolean;
}

/** What the form of a policy holds. */
export interface WebhookDraft {
  name: string;
  description: string;
  events: string[];
  tagged: boolean;
  type: string;
  format: string;
  address: string;
  /** `undefined`: what is stored stays; empty: there is none. */
  authHeader: string | undefined;
  secret: string | undefined;
  verify: boolean;
}

/** Whether a receiver answers. */
export interface WebhookState {
  policy_id: number;
  address: string;
  waiting: number;
  last_time?: string;
  last_status?: number;
  /** Why the last attempt failed, in the server's words. */
  last_error?: string;
  failing_since?: string;
  next_time?: string;
  skipped_since?: string;
}

export interface Delivery {
  id: number;
  policy_id: number;
  event_type: string;
  address: string;
  subject: string;
  operator: string;
  /** `Running`, `Success`, `Error`, `Stopped`. */
  status: string;
  /** `EVENT` or `MANUAL`. */
  trigger: string;
  attempts: number;
  response_status?: number;
  duration_ms?: number;
  error?: string;
  start_time: string;
  end_time?: string;
  next_time?: string;
}

export interface DeliveryDetail extends Delivery {
  payload: string;
  log: { time: string; level: string; text: string }[];
}

/** What came of trying a receiver out. */
export interface WebhookResult {
  address: string;
  response_status?: number;
  duration_ms?: number;
  error?: string;
}

/** What stands for a secret that stays. */
const HIDDEN = '*****';

const policies = (project: string) => `/api/v2.0/projects/${encodeURIComponent(project)}/webhook/policies`;
const beyond = (project: string) => `/api/ext/v1/projects/${encodeURIComponent(project)}/webhook`;

export async function listWebhooks(
  project: string,
  of: Listing,
  options: Options,
): Promise<Page<WebhookPolicy>> {
  const query = listing(of);
  const { body, total } = await send<WebhookPolicy[]>('GET', policies(project), { ...options, query });
  return { rows: body, total };
}

export async function getWebhook(project: string, id: number, options: Options): Promise<WebhookPolicy> {
  return (await send<WebhookPolicy>('GET', `${policies(project)}/${id}`, options)).body;
}

/** The types of events that the server knows. */
export async function webhookEvents(project: string, signal: AbortSignal): Promise<string[]> {
  const path = policies(project).replace(/policies$/, 'events');
  return (await send<{ event_type: string[] }>('GET', path, { signal })).body.event_type;
}

/** A policy on the wire. Of one with several targets the others stay. */
export function webhookOnWire(draft: WebhookDraft, before: WebhookPolicy | undefined) {
  const [first, ...others] = before?.targets ?? [];
  const slack = draft.type === 'slack';
  const kept = (text: string | undefined, stored: string | undefined) => (text ?? (stored && HIDDEN)) || '';
  const target = {
    type: draft.type,
    address: draft.address,
    auth_header: slack ? '' : kept(draft.authHeader, first?.auth_header),
    secret: kept(draft.secret, first?.secret),
    skip_cert_verify: !draft.verify,
    ...(slack ? {} : { payload_format: draft.format }),
  };
  return {
    name: draft.name,
    description: draft.description,
    enabled: before?.enabled ?? true,
    event_types: draft.events,
    untagged: !draft.tagged,
    targets: [target, ...others],
  };
}

export async function createWebhook(project: string, draft: WebhookDraft): Promise<void> {
  await send('POST', policies(project), { json: webhookOnWire(draft, undefined) });
}

export async function updateWebhook(
  project: string,
  before: WebhookPolicy,
  draft: WebhookDraft,
): Promise<void> {
  await send('PUT', `${policies(project)}/${before.id}`, { json: webhookOnWire(draft, before) });
}

/** Switches a policy on or off; all else stays. */
export async function enableWebhook(project: string, policy: WebhookPolicy, enabled: boolean): Promise<void> {
  await send('PUT', `${policies(project)}/${policy.id}`, { json: { ...policy, enabled } });
}

export async function deleteWebhook(project: string, id: number): Promise<void> {
  await send('DELETE', `${policies(project)}/${id}`);
}

/** Sends a sample at once. */
export async function testWebhook(project: string, id: number): Promise<WebhookResult[]> {
  const path = `${beyond(project)}/policies/${id}/test`;
  return (await send<WebhookResult[]>('POST', path, { json: {} })).body;
}

export async function webhookStates(project: string, options: Options): Promise<WebhookState[]> {
  return (await send<WebhookState[]>('GET', `${beyond(project)}/targets`, options)).body;
}

export async function listDeliveries(
  project: string,
  filter: { policy_id: number; status?: string; event_type?: string },
  of: Listing,
  options: Options,
): Promise<Page<Delivery>> {
  const query = { ...filter, ...listing(of) };
  const path = `${beyond(project)}/deliveries`;
  const { body, total } = await send<Delivery[]>('GET', path, { ...options, query });
  return { rows: body, total };
}

export async function getDelivery(project: string, id: number, options: Options): Promise<DeliveryDetail> {
  return (await send<DeliveryDetail>('GET', `${beyond(project)}/deliveries/${id}`, options)).body;
}

export async function redeliver(project: string, id: number): Promise<number> {
  const path = `${beyond(project)}/deliveries/${id}/redeliver`;
  return (await send<{ id: number }>('POST', path)).body.id;
}
