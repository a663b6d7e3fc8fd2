// Robots and groups: accounts that no person types a password for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { act, dialog, fresh, toast } from './lib/page.js';
import { call, hostName, must, seed } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

/** What docker asks for when it signs in: whether name and secret open anything. */
const opens = async (name, secret) => (await call('GET', '/v2/', { as: [name, secret] })).status === 200;

/** What the shell makes of the command in the dialog that shows a secret: the name and the secret that docker gets. */
async function shownLogin(page) {
  const line = (await dialog(page).locator('.code pre').innerText()).trim();
  const script = `docker() { printf '%s\\n' "$@"; cat; }; ${line}`;
  const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  const [command, host, flag, name, stdin, secret] = stdout.trim().split('\n');
  assert.deepEqual([command, flag, stdin], ['login', '-u', '--password-stdin'], line);
  assert.equal(host, await hostName());
  return { name, secret };
}

test('a robot from its making to its end, its secret shown once', async () => {
  const name = fresh('ci');
  const { context, page, faults } = await visit(browser, { as: 'pa' });
  await open(page, '/ui/projects/platform/robots');
  await page.getByRole('button', { name: 'New robot' }).click();
  await dialog(page).getByLabel('Name').fill('Bad Name');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).locator('.field-error').waitFor();
  await dialog(page).getByLabel('Name').fill(name);
  await dialog(page).getByLabel('What it is for').fill('Builds <b>');
  faults.push(...(await violations(page)));
  await shoot(page, 'wizard.basics');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Push and pull' }).click();
  assert.ok(await dialog(page).getByLabel('Repository: Create, push').isChecked());
  assert.ok(!(await dialog(page).getByLabel('Member: Create, push').isChecked()));
  faults.push(...(await violations(page)));
  await shoot(page, 'wizard.permissions');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByText('pull, push', { exact: false }).first().waitFor();
  await shoot(page, 'wizard.review');
  await dialog(page).getByRole('button', { name: 'Create robot' }).click();
  await dialog(page).getByText('only now').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.secret');
  const first = await shownLogin(page);
  assert.match(first.name, new RegExp(`platform\\+${name}$`));
  assert.ok(await opens(first.name, first.secret));
  await dialog(page).getByRole('button', { name: 'I have kept the secret' }).click();
  assert.equal(await page.getByText(first.secret).count(), 0);

  await act(page, first.name, 'Rotate secret');
  await dialog(page).getByRole('button', { name: 'Rotate secret' }).click();
  await dialog(page).getByText('only now').waitFor();
  const second = await shownLogin(page);
  assert.notEqual(second.secret, first.secret);
  assert.ok(await opens(second.name, second.secret));
  assert.ok(!(await opens(first.name, first.secret)));
  await dialog(page).getByRole('button', { name: 'I have kept the secret' }).click();

  await act(page, first.name, 'Disable');
  await toast(page, 'is disabled');
  assert.ok(!(await opens(second.name, second.secret)));
  await act(page, first.name, 'Delete robot');
  await dialog(page).getByRole('button', { name: 'Delete robot' }).click();
  await toast(page, 'is deleted');
  await page.getByRole('rowheader', { name: first.name }).waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('all that a project admin is offered can be given', async () => {
  const { context, page, faults } = await visit(browser, { as: 'pa' });
  await open(page, '/ui/projects/platform/robots');
  await page.getByRole('button', { name: 'New robot' }).click();
  await dialog(page).getByLabel('Name').fill(fresh('all'));
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Full', exact: true }).click();
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Create robot' }).click();
  await dialog(page).getByText('only now').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a robot of the installation is for projects and for the system', async () => {
  const name = fresh('ops');
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/robots');
  await page.getByRole('button', { name: 'New robot' }).click();
  await dialog(page).getByLabel('Name').fill(name);
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByLabel('In all projects').uncheck();
  await dialog(page).getByLabel('Projects', { exact: true }).fill('platform, edge');
  await dialog(page).getByRole('button', { name: 'Pull', exact: true }).click();
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByLabel('Quota: List').check();
  faults.push(...(await violations(page)));
  await shoot(page, 'wizard.system');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Create robot' }).click();
  const made = await shownLogin(page);
  await dialog(page).getByRole('button', { name: 'I have kept the secret' }).click();
  const robots = JSON.parse((await call('GET', `/api/v2.0/robots?q=name=~${name}`)).text);
  const spaces = robots[0].permissions.map(({ kind, namespace }) => `${kind} ${namespace}`).sort();
  assert.deepEqual(spaces, ['project edge', 'project platform', 'system /']);
  await act(page, made.name, 'Edit');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  assert.equal(await dialog(page).getByLabel('Projects', { exact: true }).inputValue(), 'platform, edge');
  await dialog(page).getByRole('button', { name: 'Back' }).click();
  await dialog(page).getByLabel('What it is for').fill('Watches');
  for (let step = 0; step < 3; step += 1) await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, 'is changed');
  assert.deepEqual(faults, []);
  await context.close();
});

test('who may only read robots sees no acts', async () => {
  const { context, page, faults } = await visit(browser, { as: 'guest' });
  await open(page, '/ui/projects/platform/robots');
  assert.equal(await page.getByRole('button', { name: 'New robot' }).count(), 0);
  assert.equal(await page.locator('tbody .btn').count(), 0);
  assert.deepEqual([...faults, ...(await violations(page))], []);
  await context.close();
});

test('why somebody may push is explained', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/access');
  await page.getByRole('combobox', { name: 'Name' }).pressSequentially('gue');
  await page.getByRole('option', { name: 'guest' }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('combobox', { name: 'In which project' }).fill('platform');
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('guest may not do this in platform: Push').waitFor();
  assert.match(await page.locator('.panel-list').innerText(), /Role[\s\S]*does not allow it/);
  await page.getByLabel('What', { exact: true }).selectOption({ label: 'Pull' });
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('guest may do this in platform: Pull').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'access');
  assert.deepEqual(faults, []);
  await context.close();
});

test('a group gets a role in a project', async () => {
  const name = fresh('crew');
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/groups');
  await page.getByRole('button', { name: 'New group' }).click();
  await dialog(page).getByLabel('Group', { exact: true }).fill(name);
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.group');
  await dialog(page).getByRole('button', { name: 'Create group' }).click();
  await toast(page, name);
  await open(page, '/ui/projects/edge/members');
  await page.getByRole('button', { name: 'Add a member' }).click();
  await dialog(page).getByRole('button', { name: 'Group' }).click();
  await dialog(page).getByRole('combobox', { name: 'Group' }).pressSequentially(name.slice(0, -1));
  await dialog(page).getByRole('option', { name }).waitFor();
  faults.push(...(await violations(page)));
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await dialog(page).getByRole('button', { name: 'Add a member' }).click();
  await toast(page, name);
  await page.getByLabel(`Role of ${name}`).waitFor();
  await shoot(page, 'members.group');
  const { text } = await must('GET', '/api/v2.0/projects/edge/members');
  assert.ok(JSON.parse(text).some((one) => one.entity_name === name && one.entity_type === 'g'));
  await open(page, `/ui/admin/groups?q=${name}`);
  await act(page, name, 'Rename group');
  await dialog(page).getByLabel('Group', { exact: true }).fill(`${name}-2`);
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, `${name}-2`);
  await act(page, `${name}-2`, 'Delete group');
  await dialog(page).getByRole('button', { name: 'Delete group' }).click();
  await page.getByText('Nothing matches these filters').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});
