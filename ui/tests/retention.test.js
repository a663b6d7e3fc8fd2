// Which artifacts of a project are kept: rules, their schedule, dry runs and runs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { act, dialog, fresh, toast } from './lib/page.js';
import { call, must, push, seed } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

/** A project of its own, in which `dev` develops, with three images in a repository and one in another. */
async function project(name) {
  await must('POST', '/api/v2.0/projects', { body: { project_name: name, metadata: { public: 'false' } } });
  const body = { role_id: 2, member_user: { username: 'dev' } };
  await must('POST', `/api/v2.0/projects/${name}/members`, { body });
  for (const tag of ['1.0', '2.0', '3.0']) await push(`${name}/app`, tag, { text: `${name} ${tag}` });
  await push(`${name}/base`, '1.0');
  return name;
}
/** Has the policy of a project disregard that its artifacts were pushed just now. */
async function spareNothing(name) {
  const { metadata } = JSON.parse((await call('GET', `/api/v2.0/projects/${name}`)).text);
  const path = `/api/v2.0/retentions/${metadata.retention_id}`;
  const policy = JSON.parse((await call('GET', path)).text);
  await must('PUT', path, { body: { ...policy, grace_secs: 0 } });
}
const tagsOf = async (name) => JSON.parse((await call('GET', `/v2/${name}/tags/list`)).text).tags ?? [];

test('a rule is made, shown dry, run, disabled and deleted', async () => {
  const name = await project(fresh('kept'));
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, `/ui/projects/${name}/retention`);
  await page.getByText('No rules yet').waitFor();
  faults.push(...(await violations(page)));
  await page.getByRole('button', { name: 'New rule' }).click();
  await dialog(page).getByLabel('How many artifacts').fill('0');
  await dialog(page).locator('.field-error').waitFor();
  await dialog(page).getByLabel('How many artifacts').fill('1');
  await dialog(page).getByLabel('Repositories', { exact: true }).fill(`${name}/app`);
  await dialog(page)
    .getByText(/^Leave out/)
    .waitFor();
  await dialog(page).getByLabel('Repositories', { exact: true }).fill('app');
  await dialog(page).getByText('Keep the 1 artifact that was pushed last').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'retention.rule');
  await dialog(page).getByRole('button', { name: 'Create rule' }).click();
  await toast(page, 'The rule is kept');
  await page.locator('tbody', { hasText: /Tags \S+ in repositories app/ }).waitFor();
  await spareNothing(name);
  await page.reload();
  await settled(page);

  await page.getByRole('button', { name: 'Dry run' }).click();
  await toast(page, 'The dry run has begun');
  const run = page.locator('tbody tr', { hasText: 'Dry run' });
  await run.getByText('Done', { exact: true }).waitFor({ timeout: 60_000 });
  await run.getByRole('button', { name: /^Result of/ }).click();
  await page.waitForURL(/run=\d/);
  await page.getByText('1 would stay, 2 would be deleted').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'retention.dry');
  await page.locator('.detail').getByRole('button', { name: 'app', exact: true }).click();
  const rows = dialog(page).locator('tbody tr');
  await rows.first().waitFor();
  assert.equal(await rows.count(), 3);
  assert.match(await rows.filter({ hasText: '3.0' }).innerText(), /Kept/);
  for (const tag of ['1.0', '2.0']) assert.match(await rows.filter({ hasText: tag }).innerText(), /Would go/);
  faults.push(...(await violations(page)));
  await shoot(page, 'retention.result');
  await page.keyboard.press('Escape');
  await page.locator('.detail').getByRole('button', { name: 'Log of app' }).click();
  await dialog(page).locator('.log-text').waitFor();
  await page.keyboard.press('Escape');
  assert.equal((await tagsOf(`${name}/app`)).length, 3);

  await page.getByRole('button', { name: 'Delete now' }).click();
  const confirm = dialog(page).getByRole('button', { name: 'Delete now' });
  assert.ok(await confirm.isDisabled());
  assert.equal(await dialog(page).locator('.banner').count(), 0);
  await dialog(page).getByRole('textbox').fill(name);
  await confirm.click();
  await toast(page, 'The run has begun');
  await page.waitForFunction(
    () => document.querySelectorAll('tbody .status[data-state=ok]').length >= 4,
    undefined,
    { timeout: 60_000 },
  );
  for (let tries = 0; (await tagsOf(`${name}/app`)).length > 1 && tries < 100; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(await tagsOf(`${name}/app`), ['3.0']);
  assert.deepEqual(await tagsOf(`${name}/base`), ['1.0']);

  await act(page, 'Keep the 1 artifact that was pushed last', 'Disable');
  await toast(page, 'The rule is disabled');
  await page.getByText('Disabled', { exact: true }).waitFor();
  await act(page, 'Keep the 1 artifact that was pushed last', 'Edit rule');
  await dialog(page).getByLabel('Keep').selectOption('nDaysSinceLastPull');
  await dialog(page).getByLabel('Days').fill('30');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await page.getByText('Keep artifacts pulled within the last 30 days').waitFor();
  await page.getByText('Disabled', { exact: true }).waitFor();
  // What was shown was of other rules.
  await page.getByRole('button', { name: 'Delete now' }).click();
  await dialog(page)
    .getByText(/has not been shown/)
    .waitFor();
  await page.keyboard.press('Escape');
  await act(page, 'Keep artifacts pulled within the last 30 days', 'Delete rule');
  await dialog(page).getByRole('button', { name: 'Delete rule' }).click();
  await toast(page, 'The rule is deleted');
  await page.getByText('No rules yet').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('rules run by schedule', async () => {
  const name = await project(fresh('scheduled'));
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/projects/${name}/retention`);
  await page.getByRole('button', { name: 'New rule' }).click();
  await dialog(page).getByLabel('Keep').selectOption('always');
  await dialog(page).getByRole('button', { name: 'Create rule' }).click();
  await toast(page, 'The rule is kept');
  await page.getByLabel('How often').selectOption('Daily');
  await page.getByRole('button', { name: 'Save' }).click();
  await toast(page, 'The schedule is kept');
  await page.getByText(/^Next: /).waitFor();
  await page.getByLabel('How often').selectOption('Custom');
  await page.getByLabel('Schedule').fill('0 15 4 * * 1');
  await page.getByText('Every Monday at 04:15 UTC').waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText(/^Next: .*04:15:00/).waitFor();
  await page.reload();
  await settled(page);
  assert.equal(await page.getByLabel('How often').inputValue(), 'Custom');
  assert.equal(await page.getByLabel('Schedule').inputValue(), '0 15 4 * * 1');
  await page.getByLabel('How often').selectOption('None');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText(/^Next: /).waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('a rule that is there already is refused in the dialog', async () => {
  const name = await project(fresh('twice'));
  const { context, page } = await visit(browser, { as: 'dev' });
  await open(page, `/ui/projects/${name}/retention`);
  for (const time of [1, 2]) {
    await page.getByRole('button', { name: 'New rule' }).click();
    await dialog(page).getByRole('button', { name: 'Create rule' }).click();
    if (time === 1) await toast(page, 'The rule is kept');
  }
  await dialog(page).getByText('There is such a rule already.').waitFor();
  await context.close();
});

test('the page fits a narrow screen, dark and in Chinese', async () => {
  const name = await project(fresh('narrow'));
  const { context, page, faults } = await visit(browser, {
    as: 'admin',
    theme: 'dark',
    language: 'zh-CN',
    width: 375,
  });
  await open(page, `/ui/projects/${name}/retention`);
  await page.locator('.page-actions .btn-primary').click();
  await dialog(page).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'retention.rule.narrow');
  await dialog(page).locator('.btn-primary').click();
  await page.getByRole('button', { name: '试运行' }).click();
  await page.locator('section tbody .status[data-state=ok]').nth(1).waitFor({ timeout: 60_000 });
  await page.locator('tbody th .link').first().click();
  await page.locator('.detail tbody tr').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'retention.narrow');
  assert.deepEqual(faults, []);
  await context.close();
});
