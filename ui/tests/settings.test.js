// The settings: what is typed stays while the registry is away, and saving sends what was changed and nothing else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { toast } from './lib/page.js';
import { must, seed } from './lib/registry.js';

const CONFIGURATIONS = '/api/v2.0/configurations';
const GIB = 2 ** 30;
const change = (body) => must('PUT', CONFIGURATIONS, { body });
const stored = async (name) => JSON.parse((await must('GET', CONFIGURATIONS)).text)[name].value;
let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(async () => {
  await change({ banner_message: '', quota_per_project_enable: true, storage_per_project: -1 });
  await browser?.close();
});

/** The registry is away, and back: waits until the page has asked again for what it shows. */
async function away(context, page, path) {
  await context.setOffline(true);
  await page.getByText('Cannot reach the registry').waitFor();
  const again = page.waitForResponse((answer) => answer.ok() && new URL(answer.url()).pathname === path);
  await context.setOffline(false);
  await again;
  await page.getByText('Cannot reach the registry').waitFor({ state: 'detached' });
  await settled(page);
}

test('what is typed stays when the registry was away, until it is discarded', async () => {
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/settings/ldap');
  const [address, password] = [page.getByLabel('Address', { exact: true }), page.getByLabel('Its password')];
  await address.fill('ldaps://directory.example');
  await password.fill('typed once');
  await away(context, page, CONFIGURATIONS);
  assert.equal(await address.inputValue(), 'ldaps://directory.example');
  assert.equal(await password.inputValue(), 'typed once');
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.waitForFunction(() => !document.querySelector('.form-foot .btn-ghost'));
  assert.deepEqual([await address.inputValue(), await password.inputValue()], ['', '']);

  await open(page, '/ui/admin/gc');
  await page.getByLabel('How often').selectOption({ label: 'At times of your own' });
  await page.getByLabel('Schedule', { exact: true }).fill('0 30 2 * * *');
  await away(context, page, '/api/v2.0/system/gc/schedule');
  assert.equal(await page.getByLabel('Schedule', { exact: true }).inputValue(), '0 30 2 * * *');
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.getByLabel('Schedule', { exact: true }).waitFor({ state: 'detached' });
  await context.close();
});

test('a limit that does not count is switched on, and a banner that is corrected keeps its days', async () => {
  const banner = { message: 'Old wrods', type: 'info', fromDate: '01/01/2026', toDate: '12/31/2036' };
  await change({
    quota_per_project_enable: false,
    storage_per_project: 10 * GIB,
    banner_message: JSON.stringify({ ...banner, closable: true }),
  });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/settings');
  await page.getByLabel('Limit the storage of new projects').check();
  await page.getByLabel('Limit of a new project').fill('10');
  await page.getByLabel(/^Message on every page/).fill('Old words');
  faults.push(...(await violations(page)));
  const sent = page.waitForRequest((request) => request.method() === 'PUT');
  await page.getByRole('button', { name: 'Save' }).click();
  assert.deepEqual(Object.keys((await sent).postDataJSON()).sort(), [
    'banner_message',
    'quota_per_project_enable',
  ]);
  await toast(page, 'Saved');
  assert.equal(await stored('quota_per_project_enable'), true);
  assert.deepEqual(JSON.parse(await stored('banner_message')), {
    ...banner,
    message: 'Old words',
    closable: true,
  });
  await shoot(page, 'settings.limited');
  assert.deepEqual(faults, []);
  await context.close();
});

test('the schedule of purges keeps what its form does not show', async () => {
  const schedule = '/api/v2.0/system/purgeaudit/schedule';
  const parameters = { audit_retention_hour: 36, include_event_types: 'pull_artifact', dry_run: true };
  await must('PUT', schedule, {
    body: { schedule: { type: 'Daily', cron: '0 0 0 * * *' }, parameters },
  });
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/audit-retention');
  await page.getByLabel('How often').selectOption({ label: 'Every hour' });
  await page.getByRole('button', { name: 'Save' }).click();
  await toast(page, 'The schedule is kept');
  const kept = JSON.parse((await must('GET', schedule)).text);
  assert.equal(kept.schedule.type, 'Hourly');
  const { audit_retention_hour, include_event_types, dry_run } = JSON.parse(kept.job_parameters);
  assert.deepEqual({ audit_retention_hour, include_event_types, dry_run }, parameters);
  await page.getByLabel('How often').selectOption({ label: 'Never' });
  await page.getByRole('button', { name: 'Save' }).click();
  await settled(page);
  assert.deepEqual(faults, []);
  await context.close();
});
