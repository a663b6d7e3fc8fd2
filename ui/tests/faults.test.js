// The network goes, the session ends: the page says so, keeps what was typed, and recovers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { seed } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

test('a lost network is said, what was typed stays, and all is loaded again afterwards', async () => {
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/me/profile');
  await page.getByLabel('Mail address').fill('admin@northquay.example');
  await page.getByLabel('Comment').fill('typed before');
  await context.setOffline(true);
  await page.getByText('Cannot reach the registry').waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('form').getByRole('alert').waitFor();
  assert.equal(await page.getByLabel('Comment').inputValue(), 'typed before');
  assert.deepEqual(await violations(page), []);
  await shoot(page, 'lost');
  await context.setOffline(false);
  await page.getByText('Cannot reach the registry').waitFor({ state: 'detached' });
  assert.equal(await page.getByLabel('Comment').inputValue(), 'typed before');
  await page.getByRole('button', { name: 'Discard changes' }).click();
  await context.close();
});

test('a list that could not be loaded comes by itself when the network is back', async () => {
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/');
  await page.getByRole('link', { name: 'Projects', exact: true }).first().hover();
  await page.evaluate(() => import(document.querySelector('link[rel=modulepreload]').href));
  await open(page, '/ui/projects');
  await context.setOffline(true);
  await page.locator('[data-filter]').fill('plat');
  await page.getByText('Cannot reach the registry').waitFor();
  assert.ok((await page.locator('.row-link').count()) > 1, 'the old rows stay');
  await context.setOffline(false);
  await page.getByText('Cannot reach the registry').waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.querySelectorAll('.row-link').length === 1);
  await context.close();
});

test('signing in and out', async () => {
  const { context, page } = await visit(browser);
  await open(page, '/ui/login?redirect_url=%2Fui%2Fprojects');
  await page.fill('[name=principal]', 'dev');
  await page.fill('[name=password]', 'wrong-password');
  await page.keyboard.press('Enter');
  await page.getByText('User name or password is wrong.').waitFor();
  await shoot(page, 'sign-in.wrong');
  await page.fill('[name=password]', 'Quay-crane-7');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/ui/projects');
  const [cookie] = (await context.cookies()).filter((one) => one.name === 'sid');
  assert.ok(cookie?.httpOnly);
  await page.getByRole('button', { name: /account of dev/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.waitForURL('**/ui/login');
  await context.close();
});

test('when the session is over, the page asks to sign in over it, keeps what was typed, and sends what waited', async () => {
  const name = `after-${Date.now().toString(36)}`;
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/projects?new=1');
  await page.locator('dialog[open]').getByLabel('Name').fill(name);
  await context.clearCookies({ name: 'sid' });
  await page.getByRole('button', { name: 'Create project' }).click();
  await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  assert.deepEqual(await violations(page), []);
  await shoot(page, 'session-ended');
  assert.equal(await page.locator('dialog').first().getByLabel('Name', { exact: true }).inputValue(), name);
  await page.locator('dialog:last-of-type [name=password]').fill(process.env.GANTRY_ADMIN_PASSWORD ?? '');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/ui/projects/${name}`);
  await context.close();
});

test('a session that is about to end says so, and goes on if that is wanted', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  let soon = true;
  await page.route('**/api/ext/v1/me/sessions*', async (route) => {
    const answer = await route.fetch();
    const sessions = await answer.json();
    const end = new Date(Date.now() + 90_000).toISOString();
    if (soon) for (const one of sessions) one.expires_at = end;
    await route.fulfill({ response: answer, json: sessions });
  });
  await open(page, '/ui/projects');
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.getByText('Your session ends at').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'session-ends');
  soon = false;
  await page.getByRole('button', { name: 'Stay signed in' }).click();
  await page.getByText('Your session ends at').waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});
