// What people do, from page to page, with mouse and keyboard.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { dialog, toast } from './lib/page.js';
import { call, PASSWORD, push, seed } from './lib/registry.js';

const stamp = Date.now().toString(36);
let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

test('a project from its making to its end', async () => {
  const name = `flow-${stamp}`;
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/projects');
  await page.getByRole('button', { name: 'New project' }).click();
  await dialog(page).getByLabel('Name').fill('Bad Name');
  await page.keyboard.press('Tab');
  await dialog(page).locator('.field-error').waitFor();
  await dialog(page).getByLabel('Name').fill(name);
  await dialog(page).getByLabel('Limit the storage').check();
  await dialog(page).getByLabel('Limit', { exact: true }).fill('1.5');
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.new-project');
  await dialog(page).getByRole('button', { name: 'Create project' }).click();
  await page.waitForURL(`**/ui/projects/${name}`);
  await toast(page, name);
  await page.getByText('No repositories yet').waitFor();
  assert.match(await page.locator('.code').innerText(), new RegExp(`docker push \\S+/${name}/app:1.0`));

  await page.getByRole('link', { name: 'Members' }).click();
  await page.getByRole('button', { name: 'Add a member' }).click();
  await dialog(page).getByRole('combobox', { name: 'User name' }).pressSequentially('gue');
  await dialog(page).getByRole('option').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.add-member');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.equal(await dialog(page).getByRole('combobox', { name: 'User name' }).inputValue(), 'guest');
  await dialog(page).getByRole('button', { name: 'Add a member' }).click();
  await page.getByLabel('Role of guest').selectOption({ label: 'Maintainer' });
  await toast(page, 'Maintainer');
  await page.reload();
  await settled(page);
  assert.equal(await page.getByLabel('Role of guest').inputValue(), '4');

  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByLabel('Public').check();
  await page.getByText('without an account', { exact: false }).first().waitFor();
  await page.getByRole('link', { name: 'Summary' }).click();
  await dialog(page).getByText('not saved', { exact: false }).waitFor();
  await dialog(page).getByRole('button', { name: 'Stay' }).click();
  assert.ok(await page.getByLabel('Public').isChecked());
  await page.getByRole('button', { name: 'Save' }).click();
  await toast(page, 'Saved');
  await page.getByRole('button', { name: 'Delete project' }).click();
  const act = dialog(page).getByRole('button', { name: 'Delete project' });
  assert.ok(await act.isDisabled());
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Cancel');
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.delete-project');
  await dialog(page).getByLabel(`Type ${name} to confirm`).fill(name);
  await act.click();
  await page.waitForURL('**/ui/projects');
  assert.deepEqual(faults, []);
  await context.close();
});

test('repositories are deleted in bulk, and the others stay', async () => {
  const project = `bulk-${stamp}`;
  await call('POST', '/api/v2.0/projects', { body: { project_name: project, metadata: {} } });
  for (const name of ['a', 'b', 'c/d']) await push(`${project}/${name}`, '1');
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/projects/${project}`);
  await page.getByLabel('Select a', { exact: true }).check();
  await page.getByLabel('Select c/d', { exact: true }).check();
  await shoot(page, 'bulk');
  await page.locator('.bulk-bar').getByRole('button', { name: 'Delete' }).click();
  await shoot(page, 'dialog.delete-repositories');
  faults.push(...(await violations(page)));
  await dialog(page).getByRole('button', { name: 'Delete 2 repositories' }).click();
  await toast(page, '2 repositories are deleted');
  await settled(page);
  assert.deepEqual(await page.locator('.row-link').allTextContents(), ['b']);
  assert.equal(await page.locator('.bulk-bar').count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});

test('an account from its making to its end', async () => {
  const name = `person-${stamp}`;
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/users');
  await page.getByRole('button', { name: 'New user' }).click();
  await dialog(page).getByLabel('User name').fill(name);
  await dialog(page).getByLabel('Full name').fill('A Person');
  await dialog(page).getByLabel('Mail address').fill(`${name}@northquay.example`);
  await dialog(page).getByLabel('Password', { exact: true }).fill(PASSWORD);
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.new-user');
  await dialog(page).getByRole('button', { name: 'Create user' }).click();
  await toast(page, name);
  await page.getByLabel('Filter by user name').fill(name);
  await page.waitForURL(/q=person/);
  await settled(page);
  await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' });
  assert.equal(await page.locator('tbody tr').count(), 1);
  const more = page.getByRole('button', { name: `More actions for ${name}` });
  await more.click();
  await shoot(page, 'menu');
  faults.push(...(await violations(page)));
  await page.getByRole('menuitem', { name: 'Make administrator' }).click();
  await dialog(page).getByRole('button', { name: 'Make administrator' }).click();
  await page.getByRole('cell', { name: 'Administrator' }).waitFor();
  await more.click();
  await page.locator('[role=menuitem]:focus').waitFor();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await dialog(page).getByLabel(`Type ${name} to confirm`).fill(name);
  await dialog(page).getByRole('button', { name: 'Delete user' }).click();
  await page.getByText('Nothing matches these filters').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a taken name is said in the form, which stays', async () => {
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/projects?new=1');
  await dialog(page).getByLabel('Name').fill('platform');
  await dialog(page).getByRole('button', { name: 'Create project' }).click();
  await dialog(page).getByRole('alert').waitFor();
  assert.match(await dialog(page).getByRole('alert').innerText(), /There is a project platform already/);
  assert.equal(await dialog(page).getByLabel('Name').inputValue(), 'platform');
  await context.close();
});

test('quotas are changed', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/quotas?page_size=100');
  await page.getByRole('button', { name: 'Change the quota of charts' }).click();
  await dialog(page).getByLabel('Limit', { exact: true }).fill('3');
  await dialog(page).getByLabel('Unit').selectOption('GiB');
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.quota');
  await dialog(page).getByRole('button', { name: 'Change quota' }).click();
  await toast(page, 'charts');
  await page.getByText('of 3 GiB').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('the keyboard alone finds a repository and comes back', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to content');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('platf');
  await page.getByRole('option', { name: /platform/ }).waitFor();
  await shoot(page, 'palette');
  faults.push(...(await violations(page)));
  await page.keyboard.press('Enter');
  await page.waitForURL('**/ui/projects/platform');
  await settled(page);
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1');
  await page.keyboard.press('/');
  await page.keyboard.type('lint');
  await page.waitForURL(/q=lint/);
  await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' });
  assert.deepEqual(await page.locator('.row-link').allTextContents(), ['tools/lint']);
  await page.locator('.row-link').focus();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/ui/projects/platform/repositories/tools/lint/-/tags');
  await settled(page);
  await page.goBack();
  await settled(page);
  assert.equal(await page.locator('[data-filter]').inputValue(), 'lint');
  await page.locator('h1').focus();
  await page.keyboard.press('?');
  await dialog(page).getByText('Filter the list').waitFor();
  await shoot(page, 'dialog.shortcuts');
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await page.waitForURL('**/ui/projects');
  assert.deepEqual(faults, []);
  await context.close();
});

test('a repository of another project is found from anywhere', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('lint');
  await page.getByRole('option', { name: 'Search for “lint” everywhere' }).click();
  await page.waitForURL('**/ui/explore?q=lint');
  await page.getByRole('link', { name: 'platform/tools/lint', exact: true }).click();
  await page.waitForURL('**/ui/projects/platform/repositories/tools/lint/-/tags');
  await settled(page);
  assert.deepEqual(faults, []);
  await context.close();
});

test('language and theme are kept', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/me/preferences');
  await page.getByLabel('Language').selectOption('zh-CN');
  await page.getByRole('heading', { name: '偏好设置' }).waitFor();
  assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
  await page.getByLabel('主题', { exact: true }).selectOption('dark');
  await page.getByLabel('密度').selectOption('compact');
  await page.reload();
  await settled(page);
  assert.deepEqual(await page.evaluate(() => ({ ...document.documentElement.dataset })), {
    theme: 'dark',
    density: 'compact',
  });
  assert.deepEqual([...faults, ...(await violations(page))], []);
  await context.close();
});

test('in the pseudo-language nothing is left in English', async () => {
  const { context, page } = await visit(browser, { as: 'admin', language: 'en-XA' });
  const seen = [];
  for (const path of [
    '/ui/',
    '/ui/projects',
    '/ui/projects/platform/repositories',
    '/ui/projects/platform/members',
    '/ui/projects/platform/settings',
    '/ui/projects/platform/summary',
    '/ui/projects/platform/repositories/tools/lint/-/tags',
    '/ui/projects/platform/repositories/tools/lint/-/tags/1.0',
    '/ui/projects/platform/robots',
    '/ui/projects/platform/labels',
    '/ui/projects/platform/policies',
    '/ui/projects/platform/workload',
    '/ui/audit',
    '/ui/activity',
    '/ui/admin/gc',
    '/ui/admin/jobs',
    '/ui/admin/groups',
    '/ui/admin/audit-retention',
    '/ui/me/profile',
    '/ui/me/password',
    '/ui/admin/health',
    '/ui/admin/users',
    '/ui/admin/quotas',
    '/ui/admin/registries',
    '/ui/admin/replication',
    '/ui/projects/platform/retention',
    '/ui/projects/platform/webhooks',
    '/ui/trust',
    '/ui/about',
  ]) {
    await open(page, path);
    const plain = await page.evaluate(() => {
      const data =
        'td, tbody th, dd, code, pre, .mono, .digest, .command, .badge-data, .avatar, .menu-label, .stat-value, kbd, option, .chip, .nav-switch, .list, .crumbs a, .page-meta, .page-title .small, .num, time, .brand';
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const found = [];
      while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim();
        if (
          /[A-Za-z]{3}/.test(text) &&
          !/^(tools\/lint.*|docker|podman|nerdctl|crictl|ctr|skopeo)$/.test(text) &&
          !/[[\]·]/.test(text) &&
          !walker.currentNode.parentElement.closest(data)
        )
          found.push(text);
      }
      return found;
    });
    seen.push(...plain.map((text) => `${path}: ${text}`));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (wide) seen.push(`${path}: scrolls sideways`);
    await shoot(page, `pseudo.${path.replaceAll('/', '_')}`);
  }
  assert.deepEqual(seen, []);
  await context.close();
});

test('settings are changed, and only those', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/settings');
  const sent = page.waitForRequest((request) => request.method() === 'PUT');
  await page.getByLabel('Life of a registry token, in minutes').fill('0');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('.field-error').waitFor();
  await page.getByLabel('Life of a registry token, in minutes').fill('45');
  await page.getByLabel('Message on every page').fill('Maintenance tonight');
  await page.getByLabel('Kind of message').selectOption('warning');
  await page.getByRole('button', { name: 'Save' }).click();
  const changes = (await sent).postDataJSON();
  assert.deepEqual(Object.keys(changes).sort(), ['banner_message', 'token_expiration']);
  await page.locator('.banner-bar', { hasText: 'Maintenance tonight' }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'settings.banner');
  await page.getByLabel('Life of a registry token, in minutes').fill('30');
  await page.getByLabel('Message on every page').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('.banner-bar').waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('the API is described, and tried where it only reads', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/api');
  assert.ok((await page.locator('summary').count()) > 80);
  await page.locator('[data-filter]').fill('GET Returns a repository.');
  await page.waitForURL(/q=GET/);
  const path = '/api/v2.0/projects/{project_name}/repositories/{repository_name}';
  await page.locator('summary', { hasText: path }).first().click();
  await page.getByLabel('project_name').fill('platform');
  await page.getByLabel('repository_name').fill('tools/lint');
  await page.getByText(/curl -u dev \S+\/tools%252Flint/).waitFor();
  await page.getByRole('button', { name: 'Try it' }).click();
  await page.getByText('"platform/tools/lint"').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'api.tried');
  assert.deepEqual(faults, []);
  await context.close();
});

test('how clients are made to trust the certificate is said for each of them', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/projects/platform/repositories');
  await page.getByRole('button', { name: 'Push guide' }).click();
  await dialog(page).getByRole('link', { name: 'Trust of clients' }).click();
  await page.waitForURL('**/ui/trust');
  await page.getByText(/\/etc\/docker\/certs\.d\/\S+\/ca\.crt/).waitFor();
  await page.getByRole('button', { name: 'containerd' }).click();
  await page.getByText('hosts.toml').first().waitFor();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download ca.crt' }).click(),
  ]);
  assert.match(readFileSync(await file.path(), 'utf8'), /BEGIN CERTIFICATE/);
  faults.push(...(await violations(page)));
  assert.deepEqual(faults, []);
  await context.close();
});
