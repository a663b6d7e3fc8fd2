// Every page, light and dark, English and Chinese, wide and narrow.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { seed, seedContent } from './lib/registry.js';
import { seedRows } from './lib/rows.js';

/** By name of the picture. What is `:policy`, `:run` or `:hook` is completed when it is known. */
const PATHS = {
  home: '/ui/',
  explore: '/ui/explore?q=edge',
  projects: '/ui/projects',
  'projects.none': '/ui/projects?q=nothing-has-this-name',
  repositories: '/ui/projects/platform/repositories',
  'repositories.tree': '/ui/projects/platform/repositories?view=tree',
  'repositories.empty': '/ui/projects/empty/repositories',
  'repositories.many': '/ui/projects/base-images/repositories?page=2&page_size=15',
  repository: '/ui/projects/platform/repositories/edge-proxy/-/info',
  tags: '/ui/projects/platform/repositories/edge-proxy/-/tags',
  'tags.none': '/ui/projects/platform/repositories/edge-proxy/-/tags?q=nothing-has-this-name',
  artifacts: '/ui/projects/platform/repositories/edge-proxy/-/artifacts',
  artifact: '/ui/projects/platform/repositories/edge-proxy/-/tags/2.14.3',
  'artifact.index': '/ui/projects/platform/repositories/edge-proxy/-/tags/multi',
  'artifact.tags': '/ui/projects/platform/repositories/edge-proxy/-/tags/2.14.3/tags',
  'artifact.history': '/ui/projects/platform/repositories/edge-proxy/-/tags/2.14.3/history',
  'artifact.build': '/ui/projects/platform/repositories/edge-proxy/-/tags/2.14.3/build',
  'artifact.accessories': '/ui/projects/platform/repositories/edge-proxy/-/tags/2.14.3/accessories',
  'artifact.readme': '/ui/projects/platform/repositories/charts/edge/-/tags/1.2.3/readme',
  'artifact.dependencies': '/ui/projects/platform/repositories/charts/edge/-/tags/1.2.3/dependencies',
  'artifact.missing': '/ui/projects/platform/repositories/edge-proxy/-/tags/nothing-has-this-name',
  'artifact.values': '/ui/projects/platform/repositories/charts/edge/-/tags/1.2.3/values',
  summary: '/ui/projects/platform/summary',
  members: '/ui/projects/platform/members',
  robots: '/ui/projects/platform/robots',
  policies: '/ui/projects/platform/policies',
  retention: '/ui/projects/platform/retention',
  webhooks: '/ui/projects/platform/webhooks',
  'webhooks.empty': '/ui/projects/empty/webhooks',
  'webhooks.deliveries': ':hook',
  workload: '/ui/projects/platform/workload',
  labels: '/ui/projects/platform/labels',
  'project-audit': '/ui/projects/platform/audit',
  'project-settings': '/ui/projects/platform/settings',
  'policies.empty': '/ui/projects/empty/policies',
  'retention.empty': '/ui/projects/empty/retention',
  'workload.empty': '/ui/projects/empty/workload',
  'labels.empty': '/ui/projects/empty/labels',
  'robots.empty': '/ui/projects/empty/robots',
  profile: '/ui/me/profile',
  password: '/ui/me/password',
  sessions: '/ui/me/sessions',
  preferences: '/ui/me/preferences',
  activity: '/ui/activity',
  audit: '/ui/audit',
  health: '/ui/admin/health',
  gc: '/ui/admin/gc',
  jobs: '/ui/admin/jobs',
  groups: '/ui/admin/groups',
  access: '/ui/admin/access?subject=user%3Adev&action=repository%3Apush&project=platform',
  'system-robots': '/ui/admin/robots',
  'system-labels': '/ui/admin/labels',
  'audit-retention': '/ui/admin/audit-retention',
  users: '/ui/admin/users',
  quotas: '/ui/admin/quotas',
  registries: '/ui/admin/registries',
  replication: '/ui/admin/replication',
  'replication.none': '/ui/admin/replication?q=nothing-has-this-name',
  'replication.policy': ':policy',
  'replication.run': ':run',
  settings: '/ui/admin/settings',
  'settings.mail': '/ui/admin/settings/mail',
  'settings.ldap': '/ui/admin/settings/ldap',
  'settings.oidc': '/ui/admin/settings/oidc',
  'settings.forwarding': '/ui/admin/settings/forwarding',
  'settings.notifications': '/ui/admin/settings/notifications',
  certificates: '/ui/admin/certificates',
  'own-access': '/ui/me/access',
  trust: '/ui/trust',
  api: '/ui/api?q=robots',
  about: '/ui/about',
  harbor: '/ui/harbor/projects/999999/members',
  missing: '/ui/nowhere',
};
const only = process.env.UI_ONLY?.split(',');
/** What a page that says that something is missing was answered. */
const isMissing = (fault) => /404.*(nothing-has-this-name|projects\/999999)/.test(fault);
/** Every page in every form; else each page in two forms that have nothing in common. */
const full = process.env.UI_FULL === '1';

/** The forms, told apart by three bits. */
const FORMS = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  theme: bits & 1 ? 'dark' : 'light',
  language: bits & 2 ? 'zh-CN' : 'en',
  width: bits & 4 ? 375 : 1280,
}));

/** What nobody who is signed in sees. */
const GATES = {
  'sign-in': '/ui/login',
  forgot: '/ui/forgot',
  'sign-up': '/ui/sign-up',
  onboard: '/ui/onboard',
  reset: `/ui/reset#${'0'.repeat(64)}`,
  verify: `/ui/verify#${'0'.repeat(64)}`,
  anonymous: '/ui/',
};

const ROUTES = new URL('../src/routes/', import.meta.url);
/** The folders of pages whose files were asked for: a page is one file, named for its folder. */
const looked = new Set();
function look(page) {
  page.on('request', (request) => {
    const name = /\/assets\/([\w-]+)-[\w-]{8}\.js$/.exec(request.url())?.[1];
    if (name) looked.add(name);
  });
}

let browser;
let numbered;
before(async () => {
  await seed();
  await seedContent();
  numbered = await seedRows();
  browser = await launch();
});
after(() => browser?.close());

/** The pages of a form, by their names. */
function pagesOf(form) {
  const chosen = Object.entries(PATHS).filter(([name]) => !only || only.includes(name));
  return chosen.filter((_, at) => full || at % 8 === form || at % 8 === 7 - form);
}

for (const [form, { theme, language, width }] of FORMS.entries()) {
  const kind = `${theme}.${language}.${width}`;
  test(`pages ${kind}`, async () => {
    const { context, page, faults } = await visit(browser, { as: 'admin', theme, language, width });
    look(page);
    for (const [name, path] of pagesOf(form)) {
      await open(page, numbered[path.slice(1)] ?? path);
      faults.push(...(await violations(page)).map((fault) => `${name}: ${fault}`));
      await shoot(page, `${name}.${kind}`, { whole: full });
    }
    await context.close();
    assert.deepEqual(
      faults.filter((fault) => !isMissing(fault)),
      [],
    );
  });
}

for (const { theme, language, width } of full ? FORMS : [FORMS[0], FORMS[7]]) {
  const kind = `${theme}.${language}.${width}`;
  test(`pages of nobody ${kind}`, async () => {
    const { context, page, faults } = await visit(browser, { theme, language, width });
    look(page);
    for (const [name, path] of Object.entries(GATES)) {
      await open(page, path);
      faults.push(...(await violations(page)).map((fault) => `${name}: ${fault}`));
      await shoot(page, `${name}.${kind}`, { whole: full });
    }
    await context.close();
    assert.deepEqual(faults, []);
  });
}

test('every page was looked at', { skip: only && 'UI_ONLY looks at some' }, () => {
  const pages = readdirSync(ROUTES).filter((name) => existsSync(new URL(`${name}/Page.svelte`, ROUTES)));
  assert.deepEqual(
    pages.filter((name) => !looked.has(name)),
    [],
  );
});
