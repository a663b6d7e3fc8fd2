// Every page, light and dark, English and Chinese, wide and narrow.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { seed } from './lib/registry.js';

const PATHS = {
  home: '/ui/',
  projects: '/ui/projects',
  'projects.none': '/ui/projects?q=nothing-has-this-name',
  repositories: '/ui/projects/platform/repositories',
  'repositories.tree': '/ui/projects/platform/repositories?view=tree',
  'repositories.empty': '/ui/projects/empty/repositories',
  'repositories.many': '/ui/projects/base-images/repositories?page=2&page_size=15',
  repository: '/ui/projects/platform/repositories/tools/build/go/-/info',
  summary: '/ui/projects/platform/summary',
  members: '/ui/projects/platform/members',
  'project-settings': '/ui/projects/platform/settings',
  profile: '/ui/me/profile',
  password: '/ui/me/password',
  sessions: '/ui/me/sessions',
  preferences: '/ui/me/preferences',
  health: '/ui/admin/health',
  users: '/ui/admin/users',
  quotas: '/ui/admin/quotas',
  settings: '/ui/admin/settings',
  about: '/ui/about',
  missing: '/ui/nowhere',
};
const only = process.env.UI_ONLY?.split(',');

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

for (const theme of ['light', 'dark']) {
  for (const language of ['en', 'zh-CN']) {
    for (const width of [1280, 375]) {
      const kind = `${theme}.${language}.${width}`;
      test(`pages ${kind}`, async () => {
        const { context, page, faults } = await visit(browser, { as: 'admin', theme, language, width });
        for (const [name, path] of Object.entries(PATHS)) {
          if (only && !only.includes(name)) continue;
          await open(page, path);
          faults.push(...(await violations(page)).map((fault) => `${name}: ${fault}`));
          await shoot(page, `${name}.${kind}`);
        }
        await context.close();
        const {
          context: outside,
          page: gate,
          faults: others,
        } = await visit(browser, { theme, language, width });
        await open(gate, '/ui/login');
        others.push(...(await violations(gate)).map((fault) => `sign-in: ${fault}`));
        await shoot(gate, `sign-in.${kind}`);
        await open(gate, '/ui/');
        others.push(...(await violations(gate)).map((fault) => `home of nobody: ${fault}`));
        await shoot(gate, `anonymous.${kind}`);
        await outside.close();
        assert.deepEqual([...faults, ...others], []);
      });
    }
  }
}
