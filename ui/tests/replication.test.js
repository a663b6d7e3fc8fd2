// Other registries, policies that copy to and from them, and their runs. The other registry is the same server: it is
// reached by its own address, as any other one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { act, dialog, fresh, toast } from './lib/page.js';
import { ADMIN, call, must, push, REGISTRY, seed } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

const next = (page) => dialog(page).getByRole('button', { name: 'Next', exact: true }).click();
const idOf = (answer) => Number(answer.headers.location.split('/').pop());

/** Registers this server at itself; its number. */
async function register(name) {
  const credential = { type: 'basic', access_key: ADMIN[0], access_secret: ADMIN[1] };
  const body = { name, type: 'harbor', url: REGISTRY.origin, insecure: true, credential };
  return idOf(await must('POST', '/api/v2.0/registries', { body }));
}

/** Makes a policy that copies what a pattern matches; its number. */
async function policy(name, registry, pattern, more = {}) {
  const body = {
    name,
    src_registry: null,
    dest_registry: { id: registry },
    filters: [{ type: 'name', value: pattern }],
    trigger: { type: 'manual' },
    enabled: true,
    override: true,
    dest_namespace_replace_count: 0,
    ...more,
  };
  return idOf(await must('POST', '/api/v2.0/replication/policies', { body }));
}

test('a registry is tried out, added, tested, changed and deleted', async () => {
  const name = fresh('eu');
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/registries');
  await page.getByRole('button', { name: 'New registry' }).click();
  faults.push(...(await violations(page)));
  await dialog(page).getByRole('button', { name: 'Add registry' }).click();
  await dialog(page).getByText('This is needed.').waitFor();
  await dialog(page).getByLabel('Name', { exact: true }).fill(name);
  await dialog(page).getByLabel('Address').fill('eu.example');
  await dialog(page)
    .getByText(/begins with https/)
    .waitFor();
  await dialog(page).getByLabel('Address').fill(REGISTRY.origin);
  await dialog(page).getByLabel('Account').fill(ADMIN[0]);
  await dialog(page)
    .getByLabel(/^Password or token/)
    .fill('not-the-password');
  await dialog(page).getByLabel('Verify its certificate').uncheck();
  await dialog(page).getByRole('button', { name: 'Test', exact: true }).click();
  const banner = dialog(page).locator('.banner');
  await banner.waitFor();
  assert.equal(await banner.getAttribute('data-state'), 'fail');
  await shoot(page, 'registry.refused');
  // The refusal is what the test asked for.
  faults.splice(0, faults.length, ...faults.filter((fault) => !/registries\/ping|status of 400/.test(fault)));
  await dialog(page)
    .getByLabel(/^Password or token/)
    .fill(ADMIN[1]);
  await dialog(page).getByRole('button', { name: 'Test', exact: true }).click();
  await dialog(page).getByText('The registry can be used.').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'registry.new');
  await dialog(page).getByRole('button', { name: 'Add registry' }).click();
  await toast(page, `The registry ${name} is kept`);
  const row = page.locator('tbody tr', { hasText: name });
  await row.getByText('Reachable', { exact: true }).waitFor();
  await row.getByText('Not verified').waitFor();

  await page.getByRole('button', { name: `Test ${name}` }).click();
  await toast(page, `${name} can be used`);
  await act(page, name, 'Edit registry');
  await dialog(page).getByLabel('Description').fill('For Europe');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await row.getByText('For Europe').waitFor();
  // The secret that was not typed is still there.
  await page.getByRole('button', { name: `Test ${name}` }).click();
  await toast(page, `${name} can be used`);

  await act(page, name, 'Delete registry');
  const confirm = dialog(page).getByRole('button', { name: 'Delete registry' });
  assert.ok(await confirm.isDisabled());
  await dialog(page).getByRole('textbox').fill(name);
  await confirm.click();
  await toast(page, `The registry ${name} is deleted`);
  await row.waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('a registry that a policy uses stays', async () => {
  const name = fresh('used');
  const id = await register(name);
  await policy(`${name}-policy`, id, 'platform/tools/**');
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/admin/registries?q=${name}`);
  await act(page, name, 'Delete registry');
  await dialog(page).getByRole('textbox').fill(name);
  await dialog(page).getByRole('button', { name: 'Delete registry' }).click();
  await dialog(page).getByText('A replication policy or a project uses it.').waitFor();
  await context.close();
});

test('a policy is made step by step, runs, and its run is looked into', async () => {
  const name = fresh('mirror');
  await register(`${name}-site`);
  await push(`platform/${name}/app`, '1.0');
  await push(`platform/${name}/app`, '2.0', { text: 'two' });
  await push(`platform/${name}/app`, '2.0-rc', { text: 'rc' });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/replication');
  await page.getByRole('button', { name: 'New policy' }).click();
  await next(page);
  await dialog(page).getByText('This is needed.').first().waitFor();
  await dialog(page).getByLabel('Name', { exact: true }).fill(name);
  await dialog(page).getByLabel('Description').fill('For the site');
  await dialog(page)
    .getByLabel('Destination')
    .selectOption({ label: `${name}-site` });
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.sides');
  await next(page);
  await dialog(page).getByLabel('Repositories').fill(`platform/${name}/**`);
  await dialog(page).getByLabel('But not tags').fill('*-rc');
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.what');
  await next(page);
  await dialog(page).getByLabel('Below').fill('sandbox/copies');
  await dialog(page).getByLabel('Folders that it replaces').selectOption({ label: 'The first folder' });
  await dialog(page).getByText('team/web/shop/app becomes sandbox/copies/web/shop/app').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.place');
  await next(page);
  await dialog(page).getByLabel('Begins').selectOption('scheduled');
  await dialog(page).getByLabel('How often').selectOption('Custom');
  await dialog(page).getByLabel('Schedule').fill('0 30 2 * *');
  await dialog(page).locator('.field-error').waitFor();
  await dialog(page).getByLabel('Schedule').fill('0 30 2 * * *');
  await dialog(page).getByText('Every day at 02:30 UTC').waitFor();
  await dialog(page).getByLabel('Limit in kbit/s').fill('800000');
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.when');
  await dialog(page).getByRole('button', { name: 'Create policy' }).click();
  await toast(page, `The policy ${name} is kept`);

  const row = page.locator('tbody tr', { hasText: name });
  await row.getByText('For the site').waitFor();
  assert.match(await row.innerText(), /sandbox\/copies[\s\S]*Every day at 02:30 UTC[\s\S]*never/i);
  await page.getByRole('button', { name: `Run ${name} now` }).click();
  await toast(page, `${name} has been started`);
  await row.getByText('Done', { exact: true }).waitFor({ timeout: 60_000 });
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.list');

  await page.getByRole('link', { name, exact: true }).click();
  await settled(page);
  const facts = await page.locator('.dl').innerText();
  for (const text of [`platform/${name}/**`, 'No tags *-rc', 'Every day at 02:30 UTC', '97.7 MiB a second'])
    assert.ok(facts.replaceAll('\u2060', '').replaceAll('\u00a0', ' ').includes(text), `${text}: ${facts}`);
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.policy');
  await page
    .getByRole('link', { name: /^Run \d/ })
    .first()
    .click();
  await page.waitForURL(/\/ui\/admin\/replication\/\d+\/\d+$/);
  await page.locator('.dl').getByText('1 of 1').waitFor();
  const task = page.locator('tbody tr');
  await task.getByText('Done', { exact: true }).waitFor();
  assert.match(await task.innerText(), new RegExp(`platform/${name}/app[\\s\\S]*sandbox/copies/${name}/app`));
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.run');
  await task.getByRole('button', { name: /^Log of/ }).click();
  await dialog(page).locator('.log-text').waitFor();
  assert.match(await dialog(page).locator('.log-text').innerText(), new RegExp(`${name}/app`));
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.log');
  await page.keyboard.press('Escape');

  const copied = JSON.parse((await call('GET', `/v2/sandbox/copies/${name}/app/tags/list`)).text);
  assert.deepEqual(copied.tags.sort(), ['1.0', '2.0']);
  assert.deepEqual(faults, []);
  await context.close();
});

test('runs are found by state, cause and time, and a run is repeated', async () => {
  const name = fresh('found');
  const site = await register(`${name}-site`);
  const id = await policy(name, site, 'platform/tools/**', { dest_namespace: 'sandbox/found' });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/admin/replication/${id}`);
  await page.getByText('No runs yet').waitFor();
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.locator('tbody').getByText('Done', { exact: true }).waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'State', exact: true }).click();
  await page.getByRole('menuitemradio', { name: 'Failed' }).click();
  await page.waitForURL(/state=Failed/);
  await page.getByText('Nothing matches these filters').waitFor();
  await page.getByRole('button', { name: 'State', exact: true }).click();
  await page.getByRole('menuitemradio', { name: 'Done' }).click();
  await page.getByRole('button', { name: 'Started', exact: true }).first().click();
  await page.getByRole('menuitemradio', { name: 'Last hour' }).click();
  await page.waitForURL(/period=hour/);
  await page.getByRole('button', { name: 'Begun', exact: true }).click();
  await page.getByRole('menuitemradio', { name: 'By hand' }).click();
  await page.waitForURL(/cause=manual/);
  await page.locator('tbody').getByText('Done', { exact: true }).waitFor();
  assert.equal(await page.locator('.chip-filter').count(), 3);
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.filtered');
  await page.getByRole('link', { name: /^Run \d/ }).click();
  await page.getByRole('button', { name: 'Run again' }).click();
  await toast(page, `${name} has been started`);
  await page.waitForURL(new RegExp(`/ui/admin/replication/${id}$`));
  await page.waitForFunction(
    () => document.querySelectorAll('tbody .status[data-state=ok]').length === 2,
    undefined,
    { timeout: 60_000 },
  );
  assert.deepEqual(faults, []);
  await context.close();
});

test('a policy is switched off in the list, changed, and deleted', async () => {
  const name = fresh('switched');
  const site = await register(`${name}-site`);
  const id = await policy(name, site, 'platform/**', {
    filters: [
      { type: 'name', value: 'platform/**' },
      { type: 'tag', value: 'v*' },
      { type: 'label', value: ['stable'], decoration: 'excludes' },
    ],
    dest_namespace: 'sandbox',
    dest_namespace_replace_count: 2,
    speed: 500,
    trigger: { type: 'event_based' },
    deletion: true,
  });
  const read = async () => JSON.parse((await call('GET', `/api/v2.0/replication/policies/${id}`)).text);
  const before = await read();
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/admin/replication?q=${name}`);
  const row = page.locator('tbody tr', { hasText: name });
  await page.getByRole('switch', { name: `${name} is active` }).uncheck();
  await toast(page, `The policy ${name} is disabled`);
  assert.ok(await page.getByRole('button', { name: `Run ${name} now` }).isDisabled());
  const off = await read();
  assert.ok(!off.enabled);
  // Nothing else has changed, and nothing waits for a policy that is off.
  assert.equal(off.lag_seconds, undefined);
  const rest = ({ enabled, update_time, ...more }) => ({
    ...more,
    lag_seconds: undefined,
    was: [typeof enabled, typeof update_time],
  });
  assert.deepEqual(rest({ ...off, enabled: true }), rest(before));

  await act(page, name, 'Edit policy');
  assert.equal(
    await dialog(page).getByLabel('Destination').locator('option:checked').innerText(),
    `${name}-site`,
  );
  await next(page);
  assert.equal(await dialog(page).getByLabel('Without these labels').inputValue(), 'stable');
  await next(page);
  await next(page);
  assert.equal(await dialog(page).getByLabel('Begins').inputValue(), 'event_based');
  await dialog(page).getByRole('button', { name: 'Back' }).click();
  await dialog(page).getByLabel('Below').fill('sandbox/other');
  await next(page);
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await row.getByText('sandbox/other').waitFor();
  await act(page, name, 'Delete policy');
  await dialog(page).getByRole('button', { name: 'Delete policy' }).click();
  await toast(page, `The policy ${name} is deleted`);
  await page.getByText('Nothing matches these filters').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a run that cannot be done says why', async () => {
  const name = fresh('failing');
  const site = await register(`${name}-site`);
  // Its name has fewer levels than are replaced.
  const id = await policy(name, site, 'platform/tools/lint', {
    dest_namespace: 'sandbox/short',
    dest_namespace_replace_count: 3,
  });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/admin/replication/${id}`);
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.locator('tbody').getByText('Failed', { exact: true }).waitFor({ timeout: 60_000 });
  await page.getByRole('link', { name: /^Run \d/ }).click();
  await page.locator('main .banner[data-state=fail], tbody .status[data-state=fail]').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.failed');
  assert.deepEqual(faults, []);
  await context.close();
});

test('a dry run says what would be copied, and copies nothing', async () => {
  const name = fresh('dry');
  const site = await register(`${name}-site`);
  await push(`platform/${name}`, '1.0');
  const id = await policy(name, site, `platform/${name}`, { dest_namespace: `sandbox/${name}` });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/admin/replication/${id}`);
  await act(page, name, 'Dry run');
  await toast(page, `${name} has been started`);
  const run = page.locator('tbody tr', { hasText: 'Dry run' });
  await run.getByText('Done', { exact: true }).waitFor({ timeout: 60_000 });
  await run.getByRole('link', { name: /^Run \d/ }).click();
  await page.getByText('Nothing is copied').waitFor();
  await page.locator('tbody .outcome', { hasText: '1 would be copied' }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.dry');
  const answer = await call('GET', `/v2/sandbox/${name}/platform/${name}/tags/list`);
  assert.equal(answer.status, 404);
  assert.deepEqual(faults, []);
  await context.close();
});

test('what failed is tried again', { timeout: 240_000 }, async () => {
  const name = fresh('tight');
  const site = await register(`${name}-site`);
  const project = { project_name: name, metadata: { public: 'false' }, storage_limit: 1 };
  await must('POST', '/api/v2.0/projects', { body: project });
  const id = await policy(name, site, 'platform/tools/lint', { dest_namespace: name });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/admin/replication/${id}`);
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.locator('tbody').getByText('Failed', { exact: true }).waitFor({ timeout: 180_000 });
  await page.getByRole('link', { name: /^Run \d/ }).click();
  const why = page.locator('tbody .outcome.is-fail');
  await why.waitFor();
  assert.match(await why.innerText(), /storage/);
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.refused');
  const quotas = JSON.parse((await call('GET', `/api/v2.0/quotas?reference=project&page_size=100`)).text);
  const quota = quotas.find(({ ref }) => ref.name === name);
  await must('PUT', `/api/v2.0/quotas/${quota.id}`, { body: { hard: { storage: -1 } } });
  await page.getByRole('button', { name: 'Retry 1 failed' }).click();
  await page.waitForURL(new RegExp(`/ui/admin/replication/${id}$`));
  await page.locator('tbody').getByText('Done', { exact: true }).waitFor({ timeout: 60_000 });
  assert.deepEqual(faults, []);
  await context.close();
});

test('the pages fit a narrow screen, dark and in Chinese', async () => {
  const name = fresh('narrow');
  const site = await register(`${name}-site-with-a-rather-long-name`);
  const id = await policy(name, site, 'platform/tools/**', { dest_namespace: 'sandbox/narrow' });
  await must('POST', '/api/v2.0/replication/executions', { body: { policy_id: id } });
  const { context, page, faults } = await visit(browser, {
    as: 'admin',
    theme: 'dark',
    language: 'zh-CN',
    width: 375,
  });
  await open(page, `/ui/admin/replication/${id}`);
  await page.locator('tbody .status[data-state=ok]').waitFor({ timeout: 60_000 });
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.policy.narrow');
  await page.locator('tbody .row-link').first().click();
  await page.waitForURL(/\/\d+\/\d+$/);
  await settled(page);
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.run.narrow');
  for (const path of ['registries', 'replication']) {
    await open(page, `/ui/admin/${path}`);
    faults.push(...(await violations(page)));
    await shoot(page, `${path}.narrow`);
  }
  await page.locator('.page-actions .btn-primary').click();
  await dialog(page).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'replication.wizard.narrow');
  assert.deepEqual(faults, []);
  await context.close();
});

test('the wizard works by keyboard alone', async () => {
  const name = fresh('keys');
  await register(`${name}-site`);
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/replication');
  await page.getByRole('button', { name: 'New policy' }).focus();
  await page.keyboard.press('Enter');
  await dialog(page).waitFor();
  /** Goes on with Tab until the focus is on what has a name. */
  const focusOn = async (wanted) => {
    for (let presses = 0; presses < 20; presses += 1) {
      const here = await page.evaluate(() => {
        const { labels, textContent } = document.activeElement;
        return (labels?.[0]?.textContent ?? textContent).trim();
      });
      if (here.startsWith(wanted)) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`${wanted} is not reached`);
  };
  await page.keyboard.press('Tab');
  await focusOn('Name');
  await page.keyboard.type(name);
  await focusOn('Destination');
  await page.keyboard.type(name);
  await focusOn('Next');
  for (const step of ['What', 'Where to', 'When and how']) {
    await page.keyboard.press('Enter');
    await dialog(page).locator('.stepper [aria-current=step]', { hasText: step }).waitFor();
  }
  await page.keyboard.press('Enter');
  await toast(page, `The policy ${name} is kept`);
  await dialog(page).waitFor({ state: 'detached' });
  const focused = await page.evaluate(() => document.activeElement?.textContent?.trim());
  assert.equal(focused, 'New policy');
  assert.deepEqual(faults, []);
  await context.close();
});
