// What is the reader's own: favourites, notices, projects and rights; and the certificates of the installation.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { dialog, fresh } from './lib/page.js';
import { must, seed, seedContent } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  await seedContent();
  browser = await launch();
});
after(() => browser?.close());

test('a favourite is marked in the list, is on the overview in every browser, and is taken back', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  const star = () => page.getByRole('button', { name: 'Favourite: platform', exact: true });
  await open(page, '/ui/projects');
  assert.equal(await star().getAttribute('aria-pressed'), 'false');
  const kept = page.waitForResponse((answer) => answer.request().method() === 'PUT');
  await star().click();
  await kept;
  assert.equal(await star().getAttribute('aria-pressed'), 'true');
  faults.push(...(await violations(page)));
  await shoot(page, 'projects.favourite');
  const other = await visit(browser, { as: 'dev' });
  await open(other.page, '/ui/');
  const marked = other.page.locator('.panel', {
    has: other.page.getByRole('heading', { name: 'Favourites' }),
  });
  await marked.getByRole('link', { name: 'platform' }).waitFor();
  other.faults.push(...(await violations(other.page)));
  await shoot(other.page, 'home.own');
  const taken = other.page.waitForResponse((answer) => answer.request().method() === 'PUT');
  await other.page.getByRole('button', { name: 'Favourite: platform', exact: true }).click();
  await marked.waitFor({ state: 'detached' });
  await taken;
  assert.deepEqual([...faults, ...other.faults], []);
  await other.context.close();
  await context.close();
});

test('who signs in next sees and keeps nothing of the reader before', async () => {
  const favourites = '/api/ext/v1/me/favourites';
  const [dev, guest] = [
    ['dev', 'Quay-crane-7'],
    ['guest', 'Quay-crane-7'],
  ];
  await must('PUT', favourites, { as: dev, body: { projects: ['platform'], repositories: [] } });
  await must('PUT', favourites, { as: guest, body: { projects: ['edge'], repositories: [] } });
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/projects/platform/repositories');
  await open(page, '/ui/');
  const main = page.locator('main');
  await main.locator('.chip', { hasText: 'platform' }).nth(1).waitFor();
  await page.getByRole('button', { name: /account of dev/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.waitForURL('**/ui/login');
  // Without loading the page anew.
  await page.goBack();
  await page.locator('.header').getByRole('link', { name: 'Sign in' }).waitFor();
  await settled(page);
  assert.deepEqual(await main.locator('.chip').allTextContents(), []);
  await page.locator('.header').getByRole('link', { name: 'Sign in' }).click();
  await page.fill('[name=principal]', 'guest');
  await page.fill('[name=password]', 'Quay-crane-7');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/ui/');
  await main.locator('.chip', { hasText: 'edge' }).waitFor();
  assert.deepEqual(await main.locator('.chip').allTextContents(), ['edge']);
  const kept = page.waitForResponse((answer) => answer.request().method() === 'PUT');
  await page.getByRole('button', { name: 'Favourite: platform', exact: true }).click();
  await kept;
  const { projects } = JSON.parse((await must('GET', favourites, { as: guest })).text);
  assert.deepEqual(projects, ['edge', 'platform']);
  for (const as of [dev, guest])
    await must('PUT', favourites, { as, body: { projects: [], repositories: [] } });
  assert.deepEqual(faults, []);
  await context.close();
});

test("the overview has the reader's own projects and what was pushed there last", async () => {
  const { context, page, faults } = await visit(browser, { as: 'guest' });
  await open(page, '/ui/');
  const own = page.locator('.panel', { has: page.getByRole('heading', { name: 'My projects' }) });
  await own.getByRole('link', { name: 'platform' }).waitFor();
  await own.getByText('Guest', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Latest pushes' }).waitFor();
  faults.push(...(await violations(page)));
  assert.deepEqual(faults, []);
  await context.close();
  const nobody = await visit(browser, { as: 'outsider' });
  await open(nobody.page, '/ui/');
  await nobody.page.getByText('No project is yours yet').waitFor();
  assert.deepEqual([...nobody.faults, ...(await violations(nobody.page))], []);
  await nobody.context.close();
});

test('notices tell what needs care, lead to it, and are dismissed', async () => {
  const name = fresh('ending');
  await must('POST', '/api/v2.0/robots', {
    body: {
      name,
      level: 'project',
      duration: 1,
      permissions: [
        { kind: 'project', namespace: 'platform', access: [{ resource: 'repository', action: 'pull' }] },
      ],
    },
  });
  const { context, page, faults } = await visit(browser, { as: 'pa' });
  await open(page, '/ui/');
  await page.getByRole('button', { name: /^Notices/ }).click();
  const notice = dialog(page).locator('li', { hasText: name });
  await notice.waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'notices');
  await notice.getByRole('link', { name: 'Open' }).click();
  await page.waitForURL('**/projects/platform/robots');
  await page.getByRole('button', { name: /^Notices/ }).click();
  await notice.getByRole('button', { name: /^Dismiss/ }).click();
  await notice.waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('a notice leads to a robot of the installation, which is found by the name that is shown', async () => {
  const name = fresh('installed');
  const access = [{ resource: 'repository', action: 'pull' }];
  await must('POST', '/api/v2.0/robots', {
    body: {
      name,
      level: 'system',
      duration: 1,
      permissions: [{ kind: 'project', namespace: '*', access }],
    },
  });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/');
  await page.getByRole('button', { name: /^Notices/ }).click();
  await dialog(page).locator('li', { hasText: name }).getByRole('link', { name: 'Open' }).click();
  await page.waitForURL('**/ui/admin/robots');
  const shown = page.locator('tbody').getByText(name);
  await shown.waitFor();
  await page.locator('[data-filter]').fill(await shown.textContent());
  await page.waitForURL(/q=/);
  await settled(page);
  await shown.waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('whom an identity provider knows is led to their secret, not to a password', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await page.route('**/api/v2.0/users/current', async (route) => {
    const answer = await route.fetch();
    const user = await answer.json();
    await route.fulfill({ response: answer, json: { ...user, oidc_user_meta: { secret: 'a-secret' } } });
  });
  await open(page, '/ui/');
  await page.getByRole('button', { name: /account of dev/ }).click();
  await page.getByRole('menuitem', { name: 'CLI secret' }).click();
  await page.waitForURL('**/me/cli');
  await page.getByRole('heading', { level: 1, name: 'CLI secret' }).waitFor();
  await open(page, '/ui/');
  await page.keyboard.press('Control+K');
  await dialog(page).locator('input').fill('CLI secret');
  await dialog(page).getByRole('option', { name: 'CLI secret', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'CLI secret' }).waitFor();
  faults.push(...(await violations(page)));
  assert.deepEqual(faults, []);
  await context.close();
});

test("one's own rights are listed by project, with the roles that give them", async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/me/access');
  await page.getByRole('link', { name: 'platform', exact: true }).waitFor();
  await page.getByText('Developer', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Rights in platform' }).click();
  await page.locator('tr.detail', { hasText: 'push' }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'own-access');
  assert.deepEqual(faults, []);
  await context.close();
});

test('certificates are shown with what is left of them, and loaded anew', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/certificates');
  await page
    .getByText(/\d+ days left/)
    .first()
    .waitFor();
  await page.getByText('Issued by the registry itself').waitFor();
  await page.getByRole('button', { name: 'Load from files' }).click();
  await page
    .getByText(/The files hold what is in use|Another certificate is in use|own CA|files/)
    .last()
    .waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'certificates');
  assert.deepEqual(
    faults.filter((fault) => !/\b412\b/.test(fault)),
    [],
  );
  await context.close();
});

test('who signs in to see a project sees it then', async () => {
  const { context, page } = await visit(browser);
  await open(page, '/ui/projects/platform/repositories');
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.locator('.header').getByRole('link', { name: 'Sign in' }).click();
  await page.fill('[name=principal]', 'dev');
  await page.fill('[name=password]', 'Quay-crane-7');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/projects/platform/repositories');
  await page.getByRole('link', { name: 'edge-proxy', exact: true }).waitFor();
  await context.close();
});
