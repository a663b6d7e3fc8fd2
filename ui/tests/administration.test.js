// The audit log, garbage collection, purges and jobs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { dialog, fresh, toast } from './lib/page.js';
import { call, push, seed } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

const rows = (page) => page.locator('tbody tr:not(.detail)');

test('the audit log is searched by user, repository, tag, operation and result', async () => {
  const name = fresh('audited');
  for (const tag of ['1', '2']) await push(`platform/${name}`, tag);
  await call('GET', `/v2/platform/${name}/manifests/1`, { as: ['dev', 'Quay-crane-7'] });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/audit');
  await page.getByRole('button', { name: 'Search by field' }).click();
  await page.getByLabel('Repository').fill(`platform/${name}`);
  faults.push(...(await violations(page)));
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.waitForURL(/repository=/);
  await page.locator('.chip-filter', { hasText: name }).waitFor();
  await settled(page);
  assert.ok((await rows(page).count()) >= 2);
  await page.getByRole('button', { name: 'Search by field' }).click();
  await page.getByLabel('Tag', { exact: true }).fill('2');
  await page.getByLabel('User', { exact: true }).fill('admin');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.waitForURL(/tag=2/);
  await settled(page);
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  assert.match(await rows(page).innerText(), new RegExp(`admin[\\s\\S]*platform/${name}:2`));
  await page.getByRole('button', { name: /^More about/ }).click();
  await page.locator('tr.detail').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'audit.detail');
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await page.getByRole('button', { name: 'Result' }).click();
  await page.getByRole('menuitemradio', { name: 'Refused' }).click();
  await page.waitForURL(/result=refused/);
  await settled(page);
  const results = await page.locator('tbody [data-state=ok]').count();
  assert.equal(results, 0);
  assert.deepEqual(faults, []);
  await context.close();
});

test('what is found is exported as CSV and as lines of JSON', async () => {
  const name = fresh('exported');
  await push(`platform/${name}`, '=1+1'.replace(/\W/g, '_'));
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/audit?repository=platform%2F${name}`);
  const texts = {};
  for (const [format, command] of Object.entries({ csv: /CSV/, ndjson: /NDJSON/ })) {
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: command }).click(),
    ]);
    texts[format] = readFileSync(await file.path(), 'utf8');
  }
  assert.match(texts.csv.split('\r\n')[0], /"id","op_time","username"/);
  assert.match(texts.csv, new RegExp(`"platform/${name}"`));
  const events = texts.ndjson
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(events.length >= 1 && events.every((event) => event.repository === `platform/${name}`));
  await context.close();
});

test('others see what they did, and project admins the log of their project', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, '/ui/audit?period=all');
  const users = await page.locator('tbody .who').allTextContents();
  assert.deepEqual([...new Set(users)], ['dev']);
  await open(page, '/ui/projects/platform/audit');
  assert.match(await page.locator('main').innerText(), /403/);
  assert.deepEqual(faults, []);
  await context.close();
  const { context: other, page: pa, faults: others } = await visit(browser, { as: 'pa' });
  await open(pa, '/ui/projects/platform/audit');
  assert.ok((await rows(pa).count()) > 1);
  assert.deepEqual(others, []);
  await other.close();
});

test('garbage is counted, collected, and its log shown', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/gc');
  await page.getByRole('button', { name: 'Only count' }).click();
  await toast(page, 'Counting has begun');
  await page
    .getByText(/would free/)
    .first()
    .waitFor({ timeout: 30_000 });
  await page.getByRole('button', { name: 'Collect garbage' }).click();
  await toast(page, 'Garbage collection has begun');
  await page
    .getByText(/ freed: /)
    .first()
    .waitFor({ timeout: 30_000 });
  faults.push(...(await violations(page)));
  await shoot(page, 'gc.done');
  await page
    .getByRole('button', { name: /^More actions for run/ })
    .first()
    .click();
  await page.getByRole('menuitem', { name: 'Log' }).click();
  await dialog(page).locator('.log-text').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'gc.log');
  await page.keyboard.press('Escape');
  await page.getByLabel('How often').selectOption('Custom');
  await page.getByLabel('Schedule').fill('0 30 2 * *');
  await page.locator('.field-error').waitFor();
  await page.getByLabel('Schedule').fill('0 30 2 * * *');
  await page.getByRole('button', { name: 'Save' }).click();
  await toast(page, 'The schedule is kept');
  await page.getByText(/^Next: /).waitFor();
  await page.getByLabel('How often').selectOption('None');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText(/^Next: /).waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('a purge of the audit log is counted', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/audit-retention');
  await page.getByLabel('Older than, in days').first().fill('x');
  await page.locator('.field-error').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Only count' }).isDisabled());
  await page.getByLabel('Older than, in days').first().fill('30');
  await page.getByRole('button', { name: 'Only count' }).click();
  await toast(page, 'Counting has begun');
  await page.getByText('older than 30 days').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'purge');
  assert.deepEqual(faults, []);
  await context.close();
});

test('a queue is paused and goes on', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/jobs');
  const name = 'Garbage collection';
  const act = async (command) => {
    await page.getByRole('button', { name: `More actions for ${name}`, exact: true }).click();
    await page.getByRole('menuitem', { name: command }).click();
  };
  await act('Pause');
  await toast(page, 'nothing new begins');
  const row = page.locator('tr', { has: page.getByRole('rowheader', { name, exact: true }) });
  await row.getByText('Paused').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'jobs.paused');
  await act('Resume');
  await toast(page, 'goes on');
  assert.deepEqual(faults, []);
  await context.close();
});
