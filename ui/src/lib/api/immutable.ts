/** Rules that keep tags from being moved and deleted. */
import { send } from '../client';
import { type Listing, listing, type Page } from './list';
import { BY_NAME } from './project';

interface Selector {
  kind: 'doublestar';
  decoration: 'matches' | 'excludes' | 'repoMatches' | 'repoExcludes';
  pattern?: string;
}

export interface ImmutableRule {
  id: number;
  disabled?: boolean;
  tag_selectors: Selector[] | null;
  scope_selectors?: { repository?: Selector[] } | null;
}

/** A rule as people think of it. */
export interface Wanted {
  repositories: string;
  repositoriesExcept: boolean;
  tags: string;
  tagsExcept: boolean;
  disabled: boolean;
}

const of = (project: string) => `/api/v2.0/projects/${encodeURIComponent(project)}/immutabletagrules`;

export async function listRules(
  project: string,
  page: Listing,
  signal: AbortSignal,
): Promise<Page<ImmutableRule>> {
  const options = { query: listing(page), headers: BY_NAME, signal };
  const { body, total } = await send<ImmutableRule[]>('GET', of(project), options);
  return { rows: body, total };
}

export async function createRule(project: string, rule: Wanted): Promise<void> {
  await send('POST', of(project), { json: onWire(rule), headers: BY_NAME });
}

/** Changes a rule. What is not changed is sent as it came: not every rule can be said in these words. */
export async function updateRule(project: string, rule: ImmutableRule, next: Wanted): Promise<void> {
  const [before, wire] = [wanted(rule), onWire(next)];
  const sameTags = next.tags === before.tags && next.tagsExcept === before.tagsExcept;
  const sameRepositories =
    next.repositories === before.repositories && next.repositoriesExcept === before.repositoriesExcept;
  const json = {
    ...rule,
    disabled: next.disabled,
    tag_selectors: sameTags ? rule.tag_selectors : wire.tag_selectors,
    scope_selectors: sameRepositories ? rule.scope_selectors : wire.scope_selectors,
  };
  await send('PUT', `${of(project)}/${rule.id}`, { json, headers: BY_NAME });
}

export async function deleteRule(project: string, id: number): Promise<void> {
  await send('DELETE', `${of(project)}/${id}`, { headers: BY_NAME });
}

function onWire(rule: Wanted) {
  const kind = 'doublestar';
  return {
    disabled: rule.disabled,
    action: 'immutable',
    template: 'immutable_template',
    scope_selectors: {
      repository: [
        {
          kind,
          decoration: rule.repositoriesExcept ? 'repoExcludes' : 'repoMatches',
          pattern: rule.repositories,
        },
      ],
    },
    tag_selectors: [{ kind, decoration: rule.tagsExcept ? 'excludes' : 'matches', pattern: rule.tags }],
  };
}

/** A rule of the server as people think of it. One that lacks a selector covers nothing: its pattern is the empty text. */
export function wanted(rule: ImmutableRule): Wanted {
  const repositories = rule.scope_selectors?.repository?.[0];
  const tags = rule.tag_selectors?.[0];
  return {
    repositories: repositories ? repositories.pattern || '**' : '',
    repositoriesExcept: repositories?.decoration === 'repoExcludes',
    tags: tags ? tags.pattern || '**' : '',
    tagsExcept: tags?.decoration === 'excludes',
    disabled: rule.disabled ?? false,
  };
}
