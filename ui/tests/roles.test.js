// What each role sees, what it does not, and what a direct address to that shows.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit, PAGES } from './lib/browser.js';
import { push, seed } from './lib/registry.js';

const MEMBER = ['Repositories', 'Summary', 'Members', 'Robots'];
const MAINTAINER = [...MEMBER, 'Workload identity', 'Tag retention', 'Immutable tags', 'Webhooks', 'Labels'];
const ALL = [...MAINTAINER, 'Audit', 'Settings'];
/** By role: pages of the project in the navigation, and which acts its pages offer. */
const SEES = {
  admin: { pages: ALL, push: true, remove: true, invite: true, change: true },
  pa: { pages: ALL, push: true, remove: true, invite: true, change: true },
  mt: { pages: [...MAINTAINER, 'Settings'], push: true, remove: true, invite: false, change: false },
  dev: { pages: [...MEMBER, 'Tag retention'], push: true, remove: false },
  guest: { pages: MEMBER, push: false, remove: false },
  lg: { pages: ['Repositories', 'Summary'], push: false, remove: false },
};
const has = async (page, name) => (await page.getByRole('button', { name }).count()) > 0;

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

for (const [as, sees] of Object.entries(SEES)) {
  test(`${as} sees what its role allows`, async () => {
    const { context, page, faults } = await visit(browser, { as });
    await open(page, '/ui/projects/platform');
    assert.deepEqual(await page.locator('.nav-context ul a').allTextContents(), sees.pages);
    assert.equal(await has(page, 'Push guide'), sees.push);
    assert.equal((await page.locator('tbody .check').count()) > 0, sees.remove);
    assert.equal(await page.locator('.nav a', { hasText: 'Administration' }).count(), as === 'admin' ? 1 : 0);
    if (sees.pages.includes('Members')) {
      await open(page, '/ui/projects/platform/members');
      assert.equal(await has(page, 'Add a member'), sees.invite ?? false);
      assert.equal((await page.locator('tbody select').count()) > 0, sees.invite ?? false);
    }
    if (sees.pages.includes('Robots')) {
      await open(page, '/ui/projects/platform/robots');
      assert.equal(await has(page, 'New robot'), sees.change ?? false);
    }
    if (sees.pages.includes('Workload identity')) {
      await open(page, '/ui/projects/platform/workload');
      assert.equal(await has(page, 'New rule'), sees.change);
      assert.equal(await has(page, 'Test a token'), sees.change);
    }
    if (sees.pages.includes('Tag retention')) {
      await open(page, '/ui/projects/platform/retention');
      assert.ok(await has(page, 'New rule'));
    }
    if (sees.pages.includes('Webhooks')) {
      await open(page, '/ui/projects/platform/webhooks');
      assert.equal(await has(page, 'New webhook'), sees.change);
    }
    if (sees.pages.includes('Labels')) {
      await open(page, '/ui/projects/platform/labels');
      assert.ok(await has(page, 'New label'));
      await open(page, '/ui/projects/platform/policies');
      assert.ok(await has(page, 'New rule'));
    }
    if (sees.pages.includes('Settings')) {
      await open(page, '/ui/projects/platform/settings');
      assert.equal(await has(page, 'Save'), sees.change);
      assert.equal(await has(page, 'Delete project'), sees.change);
    }
    assert.deepEqual(faults, []);
    await context.close();
  });
}

const REFUSED = [
  ['lg', '/ui/projects/platform/members'],
  ['guest', '/ui/projects/platform/settings'],
  ['dev', '/ui/projects/platform/policies'],
  ['dev', '/ui/projects/platform/workload'],
  ['dev', '/ui/projects/platform/labels'],
  ['guest', '/ui/projects/platform/retention'],
  ['dev', '/ui/projects/platform/webhooks'],
  ['mt', '/ui/projects/platform/audit'],
  ['lg', '/ui/projects/platform/robots'],
  ['pa', '/ui/admin/gc'],
  ['dev', '/ui/admin/users'],
  ['pa', '/ui/admin/health'],
  ['pa', '/ui/admin/registries'],
  ['pa', '/ui/admin/replication'],
];
for (const [as, path] of REFUSED) {
  test(`${as} at ${path} gets the page that says so, and asks the server for nothing refused`, async () => {
    const { context, page, faults } = await visit(browser, { as });
    await open(page, path);
    assert.match(await page.locator('main').innerText(), /You may not open this page[\s\S]*403/);
    assert.deepEqual([...faults, ...(await violations(page))], []);
    await shoot(page, `forbidden.${as}`);
    await context.close();
  });
}

test('a private project and one that does not exist are the same to who is outside', async () => {
  const { context, page } = await visit(browser, { as: 'outsider' });
  const texts = [];
  for (const name of ['payments', 'no-such-project']) {
    await open(page, `/ui/projects/${name}`);
    texts.push((await page.locator('main').innerText()).replaceAll(name, 'NAME'));
  }
  assert.match(texts[0], /403/);
  assert.equal(texts[0], texts[1]);
  await context.close();
});

test('nobody sees public projects, no way to change them, and is led to sign in', async () => {
  const { context, page, faults } = await visit(browser);
  await open(page, '/ui/projects');
  assert.equal(await has(page, 'New project'), false);
  await page.getByRole('link', { name: 'edge', exact: true }).click();
  await settled(page);
  assert.deepEqual(await page.locator('.nav-context ul a').allTextContents(), ['Repositories', 'Summary']);
  await push('edge/gateway', '1.0');
  await open(page, '/ui/projects/edge/repositories/gateway/-/tags');
  await page.getByRole('button', { name: 'More actions for 1.0', exact: true }).click();
  assert.deepEqual(await page.getByRole('menuitem').allTextContents(), ['History']);
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: '1.0', exact: true }).click();
  await page.getByText(/docker pull \S+\/edge\/gateway:1\.0/).waitFor();
  assert.equal(await has(page, /^More actions/), false);
  await page.goto(`${PAGES}/ui/me/profile`);
  await page.waitForURL(/\/ui\/login\?redirect_url=%2Fui%2Fme%2Fprofile/);
  assert.deepEqual(faults, []);
  await context.close();
});
