/** All pages: their addresses, who may open them, and where their code is. */
import type { Component } from 'svelte';
import { match, type Params } from '../lib/path';

export interface Route {
  pattern: string;
  /** `account`: signed in; `sysadmin`: system administrators. */
  who?: 'account' | 'sysadmin';
  /** For pages of a project: what the reader must be allowed to do there. */
  needs?: string;
  /** Without header and navigation. */
  bare?: boolean;
  /** The page takes `params`, if it takes anything. */
  load: () => Promise<{ default: Component<never> }>;
}

const PROJECT = '/projects/:project';

export const ROUTES: Route[] = [
  { pattern: '/', load: () => import('./home/Page.svelte') },
  { pattern: '/login', bare: true, load: () => import('./login/Page.svelte') },
  { pattern: '/sign-up', bare: true, load: () => import('./sign-up/Page.svelte') },
  { pattern: '/onboard', bare: true, load: () => import('./onboard/Page.svelte') },
  { pattern: '/forgot', bare: true, load: () => import('./forgot/Page.svelte') },
  { pattern: '/reset', bare: true, load: () => import('./reset/Page.svelte') },
  { pattern: '/verify', bare: true, load: () => import('./verify/Page.svelte') },
  { pattern: '/explore', load: () => import('./explore/Page.svelte') },
  { pattern: '/projects', load: () => import('./projects/Page.svelte') },
  { pattern: PROJECT, needs: 'repository:list', load: () => import('./repositories/Page.svelte') },
  {
    pattern: `${PROJECT}/repositories`,
    needs: 'repository:list',
    load: () => import('./repositories/Page.svelte'),
  },
  {
    pattern: `${PROJECT}/repositories/*repository/-/:tab`,
    needs: 'tag:list',
    load: () => import('./repository/Page.svelte'),
  },
  ...['tags/:tag', 'digest/:digest'].flatMap((which) =>
    ['', '/:tab'].map((tab) => ({
      pattern: `${PROJECT}/repositories/*repository/-/${which}${tab}`,
      needs: 'artifact:read',
      load: () => import('./artifact/Page.svelte'),
    })),
  ),
  { pattern: `${PROJECT}/summary`, needs: '.:read', load: () => import('./summary/Page.svelte') },
  { pattern: `${PROJECT}/members`, needs: 'member:list', load: () => import('./members/Page.svelte') },
  { pattern: `${PROJECT}/robots`, needs: 'robot:list', load: () => import('./robots/Page.svelte') },
  {
    pattern: `${PROJECT}/workload`,
    needs: 'workload-rule:list',
    load: () => import('./workload/Page.svelte'),
  },
  {
    pattern: `${PROJECT}/policies`,
    needs: 'immutable-tag:list',
    load: () => import('./policies/Page.svelte'),
  },
  {
    pattern: `${PROJECT}/retention`,
    needs: 'tag-retention:read',
    load: () => import('./retention/Page.svelte'),
  },
  {
    pattern: `${PROJECT}/webhooks`,
    needs: 'notification-policy:list',
    load: () => import('./webhooks/Page.svelte'),
  },
  {
    pattern: `${PROJECT}/webhooks/:policy`,
    needs: 'notification-policy:read',
    load: () => import('./webhook-deliveries/Page.svelte'),
  },
  { pattern: `${PROJECT}/labels`, needs: 'label:create', load: () => import('./labels/Page.svelte') },
  { pattern: `${PROJECT}/audit`, needs: 'log:list', load: () => import('./audit/Page.svelte') },
  {
    pattern: `${PROJECT}/settings`,
    needs: 'metadata:read',
    load: () => import('./project-settings/Page.svelte'),
  },
  { pattern: '/me/:tab', who: 'account', load: () => import('./me/Page.svelte') },
  { pattern: '/activity', who: 'account', load: () => import('./activity/Page.svelte') },
  { pattern: '/audit', who: 'account', load: () => import('./audit/Page.svelte') },
  { pattern: '/admin/health', who: 'sysadmin', load: () => import('./health/Page.svelte') },
  { pattern: '/admin/users', who: 'sysadmin', load: () => import('./users/Page.svelte') },
  { pattern: '/admin/groups', who: 'sysadmin', load: () => import('./groups/Page.svelte') },
  { pattern: '/admin/robots', who: 'sysadmin', load: () => import('./robots/Page.svelte') },
  { pattern: '/admin/labels', who: 'sysadmin', load: () => import('./labels/Page.svelte') },
  { pattern: '/admin/access', who: 'sysadmin', load: () => import('./access/Page.svelte') },
  { pattern: '/admin/certificates', who: 'sysadmin', load: () => import('./certificates/Page.svelte') },
  { pattern: '/admin/gc', who: 'sysadmin', load: () => import('./gc/Page.svelte') },
  { pattern: '/admin/jobs', who: 'sysadmin', load: () => import('./jobs/Page.svelte') },
  { pattern: '/admin/audit-retention', who: 'sysadmin', load: () => import('./audit-retention/Page.svelte') },
  { pattern: '/admin/registries', who: 'sysadmin', load: () => import('./registries/Page.svelte') },
  { pattern: '/admin/replication', who: 'sysadmin', load: () => import('./replication/Page.svelte') },
  {
    pattern: '/admin/replication/:policy',
    who: 'sysadmin',
    load: () => import('./replication-policy/Page.svelte'),
  },
  {
    pattern: '/admin/replication/:policy/:run',
    who: 'sysadmin',
    load: () => import('./replication-run/Page.svelte'),
  },
  { pattern: '/admin/quotas', who: 'sysadmin', load: () => import('./quotas/Page.svelte') },
  ...['', '/:section'].map((section) => ({
    pattern: `/admin/settings${section}`,
    who: 'sysadmin' as const,
    load: () => import('./settings/Page.svelte'),
  })),
  { pattern: '/trust', who: 'account', load: () => import('./trust/Page.svelte') },
  { pattern: '/api', load: () => import('./api/Page.svelte') },
  { pattern: '/harbor/*rest', load: () => import('./harbor/Page.svelte') },
  { pattern: '/license', load: () => import('./about/Page.svelte') },
  { pattern: '/about', load: () => import('./about/Page.svelte') },
];

/** The page at a path below `/ui`, with the parameters in it. */
export function find(path: string): { route: Route; params: Params } | undefined {
  for (const route of ROUTES) {
    const params = match(route.pattern, path);
    if (params) return { route, params };
  }
  return undefined;
}
