// Forwarding of the audit log, and registry notifications: settings, state and a test.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { startCollector } from './lib/collector.js';
import { toast } from './lib/page.js';
import { must, seed } from './lib/registry.js';

let browser;
let collector;
before(async () => {
  await seed();
  browser = await launch();
  collector = await startCollector();
});
after(async () => {
  const none = { audit_log_forward_endpoint: '', registry_notifications: '' };
  await must('PUT', '/api/v2.0/configurations', { body: none });
  collector.stop();
  await browser?.close();
});

/** What pages did wrong, but for the settings that were refused. */
const unexpected = (faults) => faults.filter((fault) => !/status: 400 PUT|status of 400/.test(fault));

test('the audit log is forwarded once a collector is set, and a test line says that it is one', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/settings/forwarding');
  await page.getByText('The audit log is not forwarded.').waitFor();
  const button = page.getByRole('button', { name: 'Send a test line' });
  assert.ok(await button.isDisabled(), 'there is no collector');
  await page.getByLabel('Address', { exact: false }).first().fill('127.0.0.1:1');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('it cannot be reached', { exact: false }).first().waitFor();
  await page.getByLabel('Address', { exact: false }).first().fill(collector.address);
  await page.getByRole('button', { name: 'Save' }).click();
  await toast(page, 'Saved');
  await page.getByText('Nothing waits.').waitFor();
  await button.click();
  await page.getByText(`${collector.address}: taken`).waitFor();
  const isTest = (message) => message.includes(' test [meta') && message.includes('"test":true');
  assert.equal(collector.messages.filter(isTest).length, 1);
  assert.ok(collector.messages.some((message) => message.includes('audit_log_forward_endpoint')));
  faults.push(...(await violations(page)));
  await shoot(page, 'settings.forwarding');
  assert.deepEqual(unexpected(faults), []);
  await context.close();
});

test('endpoints of registry notifications are set, and what is wrong with them is said', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/admin/settings/notifications');
  await page.getByText('No events are sent.').waitFor();
  await page.getByLabel('Endpoints', { exact: false }).fill('[{"name": "ci", "url": "ftp://ci.example"}]');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('url must be https://', { exact: false }).first().waitFor();
  await page
    .getByLabel('Endpoints', { exact: false })
    .fill('[{"name": "ci", "url": "https://ci.example/events"}]');
  await page.getByRole('button', { name: 'Save' }).click();
  await toast(page, 'Saved');
  await page.locator('.aside').getByText('ci', { exact: true }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'settings.notifications');
  assert.deepEqual(unexpected(faults), []);
  await context.close();
});
