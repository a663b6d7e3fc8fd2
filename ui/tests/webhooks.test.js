// Webhooks of a project: making one, what it sends, trying it out, sending again, switching it off.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { act, dialog, fresh, toast } from './lib/page.js';
import { must, push, seed } from './lib/registry.js';

let browser;
/** A receiver: what it was sent, and how it answers. */
const receiver = { requests: [], status: 204, server: undefined, url: '' };
before(async () => {
  await seed();
  browser = await launch();
  receiver.server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      receiver.requests.push({ headers: request.headers, body });
      response.writeHead(receiver.status).end();
    });
  });
  await new Promise((resolve) => receiver.server.listen(0, '127.0.0.1', resolve));
  receiver.url = `http://127.0.0.1:${receiver.server.address().port}/hook`;
});
after(async () => {
  await browser?.close();
  receiver.server?.close();
});

async function project(name) {
  await must('POST', '/api/v2.0/projects', { body: { project_name: name, metadata: { public: 'false' } } });
  return name;
}
async function arrived(count) {
  for (let tries = 0; receiver.requests.length < count && tries < 200; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  return receiver.requests;
}

test('a webhook is made, tested, sends, sends again, and is switched off and deleted', async () => {
  const name = await project(fresh('hooked'));
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `/ui/projects/${name}/webhooks`);
  await page.getByText('No webhooks yet').waitFor();
  faults.push(...(await violations(page)));
  await page.getByRole('button', { name: 'New webhook' }).click();
  await dialog(page).getByRole('button', { name: 'Create webhook' }).click();
  await dialog(page).locator('.field-error').first().waitFor();
  await dialog(page).getByLabel('Name', { exact: true }).fill('ci');
  await dialog(page).getByLabel('Address').fill('https://ann:secret@ci.example/');
  await dialog(page)
    .getByText(/^Write https/)
    .waitFor();
  await dialog(page).getByLabel('Address').fill(receiver.url);
  await dialog(page).getByLabel('Artifact deleted').check();
  await dialog(page).getByLabel('Authorization header').fill('Bearer t0ken');
  await dialog(page).getByLabel('Secret for signatures').fill('signed');
  faults.push(...(await violations(page)));
  await shoot(page, 'webhooks.new');
  await dialog(page).getByRole('button', { name: 'Create webhook' }).click();
  await toast(page, 'Webhook ci is kept');
  await page.getByText('Not used yet').waitFor();

  await act(page, 'ci', 'Send a test');
  await toast(page, 'The receiver of ci took the test');
  const [sample] = await arrived(1);
  assert.equal(sample.headers.authorization, 'Bearer t0ken');
  assert.match(sample.headers['x-signature'], /^sha256=[\da-f]{64}$/);
  await page.getByText('Answers', { exact: true }).waitFor();
  receiver.status = 401;
  await act(page, 'ci', 'Send a test');
  await toast(page, 'The receiver of ci did not take the test');
  receiver.status = 204;

  await push(`${name}/app`, '1.0');
  const requests = await arrived(3);
  assert.equal(requests[2].body.type, 'PUSH_ARTIFACT');
  await page.getByRole('link', { name: 'ci', exact: true }).click();
  const row = page.locator('tbody tr', { hasText: `${name}/app` }).first();
  await row.getByText('Done', { exact: true }).waitFor({ timeout: 30_000 });
  assert.match(await row.innerText(), /Artifact pushed/);
  faults.push(...(await violations(page)));
  await shoot(page, 'webhooks.deliveries');
  await row.locator('th .link').click();
  await dialog(page)
    .getByText(/"repo_full_name"/)
    .waitFor();
  await dialog(page)
    .getByText(/sent: status 204/)
    .waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'webhooks.request');
  await page.keyboard.press('Escape');
  await row.locator('.row-actions button').click();
  await page.getByRole('menuitem', { name: 'Send again' }).click();
  await toast(page, 'It is sent again');
  assert.deepEqual((await arrived(4))[3].body, requests[2].body);
  await page.getByText('sent again').first().waitFor();
  await page.getByRole('button', { name: 'State' }).first().click();
  await page.getByRole('menuitemradio', { name: 'Failed' }).click();
  await page.waitForURL(/state=Error/);
  await page.locator('.filter-chips').waitFor();

  await open(page, `/ui/projects/${name}/webhooks`);
  await act(page, 'ci', 'Switch off');
  await toast(page, 'Webhook ci is off');
  await page.getByText('Off', { exact: true }).waitFor();
  await act(page, 'ci', 'Edit webhook');
  // Secrets stay while nobody touches them.
  await dialog(page).getByLabel('Description').fill('for the pipeline');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, 'Webhook ci is kept');
  await act(page, 'ci', 'Switch on');
  await toast(page, 'Webhook ci is on');
  await act(page, 'ci', 'Send a test');
  await toast(page, 'The receiver of ci took the test');
  assert.equal((await arrived(5))[4].headers.authorization, 'Bearer t0ken');
  await act(page, 'ci', 'Delete webhook');
  await dialog(page).getByRole('button', { name: 'Delete webhook' }).click();
  await toast(page, 'Webhook ci is deleted');
  await page.getByText('No webhooks yet').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a receiver that does not answer is told of, on a narrow screen, dark and in Chinese', async () => {
  const name = await project(fresh('silent'));
  const policy = {
    name: 'silent',
    enabled: true,
    event_types: ['PUSH_ARTIFACT'],
    targets: [{ type: 'http', address: 'http://127.0.0.1:9/hook' }],
  };
  await must('POST', `/api/v2.0/projects/${name}/webhook/policies`, { body: policy });
  await push(`${name}/app`, '1.0');
  const { context, page, faults } = await visit(browser, {
    as: 'admin',
    theme: 'dark',
    language: 'zh-CN',
    width: 375,
  });
  await open(page, `/ui/projects/${name}/webhooks`);
  await page.getByText('没有响应', { exact: true }).waitFor({ timeout: 30_000 });
  faults.push(...(await violations(page)));
  await shoot(page, 'webhooks.narrow');
  await page.getByRole('link', { name: 'silent', exact: true }).click();
  await page.locator('.banner').waitFor();
  await page.locator('tbody tr').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'webhooks.deliveries.narrow');
  assert.deepEqual(faults, []);
  await context.close();
});
