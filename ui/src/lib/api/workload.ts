/** Rules by which CI jobs and pods get in with tokens of their own issuers. */
import { send } from '../client';
import { type Listing, listing, type Page } from './list';
import { BY_NAME } from './project';

export const ROLES = ['maintainer', 'developer', 'guest', 'limitedGuest'] as const;
export type WorkloadRole = (typeof ROLES)[number];

/** A rule as it is made or replaced. */
export interface WantedRule {
  name: string;
  issuer: string;
  audience: string;
  subject: string;
  claims: Record<string, string>;
  role: WorkloadRole;
  /** Seconds. */
  lifetime: number;
  /** The issuer's keys; without them the issuer is asked. */
  jwks?: object;
  /** Authorities for the issuer's certificate, in PEM. */
  ca?: string;
}

export interface WorkloadRule extends WantedRule {
  id: number;
  creation_time: string;
  update_time: string;
}

export interface Verdict {
  id: number;
  name: string;
  role: WorkloadRole;
  matches: boolean;
  problems: string[];
}

/** What the rules say of a token. */
export interface Explanation {
  admitted: boolean;
  issuer: string;
  subject: string;
  expires_at?: string;
  problem?: string;
  rules: Verdict[];
}

const of = (project: string) => `/api/ext/v1/projects/${encodeURIComponent(project)}/workload-rules`;

export async function listWorkloadRules(
  project: string,
  page: Listing,
  signal: AbortSignal,
): Promise<Page<WorkloadRule>> {
  const options = { query: listing(page), headers: BY_NAME, signal };
  const { body, total } = await send<WorkloadRule[]>('GET', of(project), options);
  return { rows: body, total };
}

export async function createWorkloadRule(project: string, rule: WantedRule): Promise<void> {
  await send('POST', of(project), { json: rule, headers: BY_NAME });
}

export async function updateWorkloadRule(project: string, id: number, rule: WantedRule): Promise<void> {
  await send('PUT', `${of(project)}/${id}`, { json: rule, headers: BY_NAME });
}

export async function deleteWorkloadRule(project: string, id: number): Promise<void> {
  await send('DELETE', `${of(project)}/${id}`, { headers: BY_NAME });
}

export async function testToken(project: string, token: string): Promise<Explanation> {
  const options = { json: { token }, headers: BY_NAME };
  const { body } = await send<Explanation>('POST', `${of(project)}/test`, options);
  return body;
}
