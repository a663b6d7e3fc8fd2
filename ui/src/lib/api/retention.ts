/** Which artifacts of a project are kept, and the runs that delete the others. The types follow Harbor's contract. */
import { ApiError, type Options, send } from '../client';
import { type Listing, listing, type Page } from './list';

interface Selector {
  kind: string;
  decoration: string;
  pattern: string;
  /** JSON: `{"untagged":true}`. */
  extras?: string;
}

export interface RetentionRule {
  id?: number;
  priority?: number;
  disabled?: boolean;
  action?: string;
  template: string;
  params?: Record<string, number> | null;
  tag_selectors?: Selector[] | null;
  scope_selectors?: { repository?: Selector[] } | null;
}

export interface RetentionPolicy {
  id: number;
  algorithm: string;
  /** Seconds after its last push in which nothing goes; a day where it says nothing. */
  grace_secs?: number;
  rules?: RetentionRule[] | null;
  trigger?: {
    kind?: string;
    settings?: { cron?: string; next_scheduled_time?: string } | null;
    references?: unknown;
  } | null;
  scope?: { level: string; ref: number };
}

export interface RetentionRun {
  id: number;
  /** `Running`, `Success`, `Error`, `Stopped`. */
  status: string;
  /** `MANUAL` or `SCHEDULE`. */
  trigger: string;
  start_time: string;
  end_time?: string;
  dry_run?: boolean;
}

/** What a run does in one repository. */
export interface RetentionTask {
  id: number;
  execution_id: number;
  /** Without its project. */
  repository: string;
  status: string;
  start_time?: string;
  end_time?: string;
  total?: number;
  retained?: number;
}

/** A template of a rule that the server knows. */
export interface Template {
  rule_template: string;
  display_text?: string;
  params?: { type: string; unit: string; required?: boolean }[] | null;
}

/** A rule as people think of it. */
export interface RuleDraft {
  template: string;
  /** Artifacts or days; not for every template. */
  count: number;
  repositories: string;
  repositoriesExcept: boolean;
  tags: string;
  tagsExcept: boolean;
  untagged: boolean;
}

const AT = '/api/v2.0/retentions';

export async function listTemplates(signal: AbortSignal): Promise<Template[]> {
  return (await send<{ templates: Template[] }>('GET', `${AT}/metadatas`, { signal })).body.templates;
}

export async function getRetention(id: string, signal: AbortSignal): Promise<RetentionPolicy> {
  return (await send<RetentionPolicy>('GET', `${AT}/${id}`, { signal })).body;
}

/** Keeps a project's rules and schedule: replaces those that it has, or makes its first. */
export async function keepRetention(
  project: number,
  before: RetentionPolicy | undefined,
  { rules, cron }: { rules: RetentionRule[]; cron: string },
): Promise<void> {
  const policy = {
    algorithm: 'or',
    grace_secs: before?.grace_secs,
    rules,
    trigger: { kind: 'Schedule', settings: { cron }, references: before?.trigger?.references ?? {} },
    scope: before?.scope ?? { level: 'project', ref: project },
  };
  if (before) await send('PUT', `${AT}/${before.id}`, { json: { ...policy, id: before.id } });
  else await send('POST', AT, { json: policy });
}

export async function listRetentionRuns(
  id: string,
  of: Listing,
  options: Options,
): Promise<Page<RetentionRun>> {
  const query = listing(of);
  const { body, total } = await send<RetentionRun[]>('GET', `${AT}/${id}/executions`, { ...options, query });
  return { rows: body, total };
}

export async function startRetention(id: string, dry: boolean): Promise<void> {
  await send('POST', `${AT}/${id}/executions`, { json: { dry_run: dry } });
}

export async function stopRetention(id: string, run: number): Promise<void> {
  await send('PATCH', `${AT}/${id}/executions/${run}`, { json: { action: 'stop' } });
}

export async function listRetentionTasks(
  id: string,
  run: number,
  of: Listing,
  options: Options,
): Promise<Page<RetentionTask>> {
  const path = `${AT}/${id}/executions/${run}/tasks`;
  const { body, total } = await send<RetentionTask[]>('GET', path, { ...options, query: listing(of) });
  return { rows: body, total };
}

/** The log of a task; none if it has not begun. */
export async function retentionLog(id: string, task: RetentionTask, options: Options): Promise<string> {
  const path = `${AT}/${id}/executions/${task.execution_id}/tasks/${task.id}`;
  try {
    return String((await send<string>('GET', path, { ...options, headers: { Accept: 'text/plain' } })).body);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return '';
    throw error;
  }
}

/** Whether a template counts something. */
export const counts = (template: string) => template !== 'always';

/** A rule of the server as people think of it. */
export function ruleDraft(rule: RetentionRule): RuleDraft {
  const repositories = rule.scope_selectors?.repository?.[0];
  const tags = rule.tag_selectors?.[0];
  const tagsExcept = tags?.decoration === 'excludes';
  return {
    template: rule.template,
    count: Number(rule.params?.[rule.template] ?? 0),
    repositories: repositories?.pattern ?? '**',
    repositoriesExcept: repositories?.decoration === 'repoExcludes',
    tags: tags?.pattern ?? '**',
    tagsExcept,
    untagged: untaggedOf(tags?.extras) ?? !tagsExcept,
  };
}

function untaggedOf(extras: string | undefined): boolean | undefined {
  try {
    const { untagged } = JSON.parse(extras || '{}') as { untagged?: unknown };
    return typeof untagged === 'boolean' ? untagged : undefined;
  } catch {
    return undefined;
  }
}

/** A rule for the server. What a form does not show of the rule before it stays. */
export function ruleOnWire(draft: RuleDraft, before?: RetentionRule): RetentionRule {
  const kind = 'doublestar';
  const { template, count, repositories, tags, untagged } = draft;
  return {
    ...before,
    disabled: before?.disabled ?? false,
    action: 'retain',
    template,
    params: counts(template) ? { [template]: count } : {},
    tag_selectors: [
      {
        kind,
        decoration: draft.tagsExcept ? 'excludes' : 'matches',
        pattern: tags,
        extras: JSON.stringify({ untagged }),
      },
      ...(before?.tag_selectors?.slice(1) ?? []),
    ],
    scope_selectors: {
      repository: [
        {
          kind,
          decoration: draft.repositoriesExcept ? 'repoExcludes' : 'repoMatches',
          pattern: repositories,
        },
      ],
    },
  };
}
