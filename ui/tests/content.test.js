// Tags and artifacts: finding them, copying what pulls them, giving and taking names, going back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, settled, shoot, violations, visit } from './lib/browser.js';
import { act, dialog, fresh, names, toast } from './lib/page.js';
import { call, hostName, must, push, seed, seedContent } from './lib/registry.js';

const TAGS = '/ui/projects/platform/repositories/edge-proxy/-/tags';

let browser;
before(async () => {
  await seed();
  await seedContent();
  browser = await launch();
});
after(() => browser?.close());

/** A repository of its own in `platform`. */
async function repository(...tags) {
  const name = fresh('flow');
  const pushed = {};
  for (const tag of tags) pushed[tag] = await push(`platform/${name}`, tag, { text: `${name} ${tag}` });
  return { name, pushed, page: `/ui/projects/platform/repositories/${name}/-` };
}
const headOf = async (name, reference) =>
  (await call('GET', `/v2/platform/${name}/manifests/${reference}`)).headers['docker-content-digest'];

test('tags are filtered and sorted, and both survive going back and loading again', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await open(page, TAGS);
  await page.getByLabel('Filter by name').fill('nightly');
  await page.waitForURL(/q=nightly/);
  await page.locator('.row-link', { hasText: 'latest' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Tag', exact: true }).click();
  await page.waitForURL(/sort=name/);
  await settled(page);
  assert.deepEqual(await names(page), ['nightly-1', 'nightly-2', 'nightly-3']);
  await page.getByRole('link', { name: 'nightly-2', exact: true }).click();
  await page.waitForURL('**/-/tags/nightly-2');
  await settled(page);
  await page.goBack();
  await page.locator('.row-link', { hasText: 'nightly-3' }).waitFor();
  assert.deepEqual(await names(page), ['nightly-1', 'nightly-2', 'nightly-3']);
  await page.reload();
  await settled(page);
  assert.equal(await page.locator('[data-filter]').inputValue(), 'nightly');
  assert.deepEqual(await names(page), ['nightly-1', 'nightly-2', 'nightly-3']);
  assert.deepEqual(faults, []);
  await context.close();
});

test('one click copies the command that pulls, with the client and reference that were chosen', async () => {
  const { context, page, faults } = await visit(browser, { as: 'dev' });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await open(page, TAGS);
  await page.getByRole('button', { name: 'Copy the command that pulls 2.14.3' }).click();
  assert.match(await copied(), /^docker pull \S+\/platform\/edge-proxy:2\.14\.3$/);
  await page.getByRole('link', { name: '2.14.3', exact: true }).click();
  await page.getByRole('button', { name: 'Choose what pulls, now docker' }).click();
  await shoot(page, 'menu.pull');
  faults.push(...(await violations(page)));
  await page.getByRole('menuitemradio', { name: 'podman' }).click();
  await page.getByRole('button', { name: 'Choose what pulls, now podman' }).click();
  await page.getByRole('menuitemradio', { name: /By digest/ }).click();
  await page.getByRole('button', { name: 'Copy pull command' }).click();
  await toast(page, 'Copied');
  const digest = await headOf('edge-proxy', '2.14.3');
  assert.equal(await copied(), `podman pull ${await hostName()}/platform/edge-proxy@${digest}`);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a tag is added and deleted, and the artifact stays', async () => {
  const { name, pushed, page: base } = await repository('1.0');
  const { context, page, faults } = await visit(browser, { as: 'mt' });
  await open(page, `${base}/tags`);
  await act(page, '1.0', 'Add a tag');
  await dialog(page).getByLabel('Tag').fill('-bad');
  await dialog(page).getByRole('button', { name: 'Add a tag' }).click();
  await dialog(page).locator('.field-error').waitFor();
  await dialog(page).getByLabel('Tag').fill('stable');
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.add-tag');
  await dialog(page).getByRole('button', { name: 'Add a tag' }).click();
  await toast(page, 'stable');
  await page.getByRole('link', { name: 'stable', exact: true }).waitFor();
  assert.equal(await headOf(name, 'stable'), pushed['1.0'].digest);
  await page.getByLabel('Select 1.0', { exact: true }).check();
  await page.getByLabel('Select stable', { exact: true }).check();
  await shoot(page, 'tags.bulk');
  await page.locator('.bulk-bar').getByRole('button', { name: 'Delete tags' }).click();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.delete-tags');
  await dialog(page).getByRole('button', { name: 'Delete 2 tags' }).click();
  await toast(page, '2 tags are deleted');
  await page.getByText('No tags yet').waitFor();
  assert.equal(await headOf(name, pushed['1.0'].digest), pushed['1.0'].digest);
  await page.getByRole('link', { name: 'Artifacts' }).click();
  await page.getByText('no tag', { exact: true }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a taken tag is said in the form', async () => {
  const { page: base } = await repository('a', 'b');
  const { context, page } = await visit(browser, { as: 'dev' });
  await open(page, `${base}/tags`);
  await act(page, 'a', 'Add a tag');
  await dialog(page).getByLabel('Tag').fill('b');
  await dialog(page).getByRole('button', { name: 'Add a tag' }).click();
  await dialog(page).getByText('There is a tag b already').waitFor();
  await context.close();
});

test('artifacts are deleted with their tags', async () => {
  const { name, pushed, page: base } = await repository('1', '2');
  const { context, page, faults } = await visit(browser, { as: 'mt' });
  await open(page, `${base}/artifacts`);
  const digest = pushed['1'].digest.slice(7, 19);
  await act(page, digest, 'Delete artifact');
  assert.match(await dialog(page).locator('.affected').innerText(), new RegExp(`${digest} \\(1\\)`));
  faults.push(...(await violations(page)));
  await dialog(page).getByRole('button', { name: 'Delete 1 artifact' }).click();
  await toast(page, '1 artifact is deleted');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  assert.equal((await call('GET', `/v2/platform/${name}/manifests/1`)).status, 404);
  assert.equal(await headOf(name, '2'), pushed['2'].digest);
  assert.deepEqual(faults, []);
  await context.close();
});

test('an artifact shows what it is, and nothing that came with it runs', async () => {
  const { context, page, faults } = await visit(browser, { as: 'lg' });
  page.on('dialog', (alert) => faults.push(`it ran: ${alert.message()}`));
  await open(page, `${TAGS}/2.14.3`);
  const main = page.locator('main');
  await main.getByText('/usr/bin/edge', { exact: true }).waitFor();
  assert.match(await main.innerText(), /MODE=<script>alert\(1\)<\/script>/);
  assert.match(await main.innerText(), /<b onclick=alert\(1\)>edge<\/b>/);
  await page.getByRole('link', { name: 'Build history' }).click();
  await page.getByText('RUN apt-get install -y ca-certificates', { exact: true }).waitFor();
  await page.getByText('<img src=x onerror=alert(1)>', { exact: true }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'artifact.build');
  await page.getByRole('link', { name: /Accessories/ }).click();
  await page.getByText('Signature', { exact: true }).waitFor();
  await open(page, `${TAGS}/multi`);
  await page.getByRole('link', { name: 'linux/arm64', exact: true }).click();
  await page.waitForURL('**/-/digest/**');
  await page.getByText('linux/arm64', { exact: true }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a chart shows its values, readme and dependencies', async () => {
  const { context, page, faults } = await visit(browser, { as: 'guest' });
  page.on('dialog', (alert) => faults.push(`it ran: ${alert.message()}`));
  await open(page, '/ui/projects/platform/repositories/charts/edge/-/tags/1.2.3');
  assert.match(
    await page.locator('.code').first().innerText(),
    /helm pull oci:\/\/\S+\/platform\/charts\/edge --version 1\.2\.3/,
  );
  await page.getByRole('link', { name: 'Values' }).click();
  await page.getByText('replicas: 3').waitFor();
  await page.getByRole('link', { name: 'Readme' }).click();
  await page.getByRole('heading', { name: 'Edge', exact: true }).waitFor();
  assert.equal(
    await page.getByRole('link', { name: 'Home' }).last().getAttribute('href'),
    'https://example.org',
  );
  assert.equal(await page.getByRole('link', { name: 'run', exact: true }).count(), 0);
  faults.push(...(await violations(page)));
  await shoot(page, 'chart.readme');
  await page.getByRole('button', { name: 'Source' }).click();
  await page.getByText('<script>alert(1)</script>').waitFor();
  await page.getByRole('link', { name: 'Dependencies' }).click();
  await page.getByRole('rowheader', { name: 'common' }).waitFor();
  assert.deepEqual([...faults, ...(await violations(page))], []);
  await context.close();
});

test('an artifact is copied to another project', async () => {
  const { name, pushed, page: base } = await repository('1.0');
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `${base}/tags/1.0`);
  await page.getByRole('button', { name: /^More actions for/ }).click();
  await page.getByRole('menuitem', { name: 'Copy to another project' }).click();
  await dialog(page).getByLabel('Project').fill('sandbox');
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.copy');
  await dialog(page).getByRole('button', { name: 'Copy artifact' }).click();
  await toast(page, `Copied to sandbox/${name}`);
  const there = await call('GET', `/v2/sandbox/${name}/manifests/1.0`);
  assert.equal(there.headers['docker-content-digest'], pushed['1.0'].digest);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a tag goes back to what it named before', async () => {
  const name = fresh('history');
  const first = await push(`platform/${name}`, 'live', { text: 'first' });
  const second = await push(`platform/${name}`, 'live', { text: 'second' });
  const { context, page, faults } = await visit(browser, { as: 'mt' });
  await open(page, `/ui/projects/platform/repositories/${name}/-/tags/live/history`);
  assert.equal(await page.locator('tbody tr').count(), 2);
  assert.match(await page.locator('tbody tr').first().innerText(), /now[\s\S]*admin/);
  await shoot(page, 'history');
  faults.push(...(await violations(page)));
  await page.getByRole('button', { name: 'Go back to it' }).click();
  await dialog(page).getByRole('button', { name: 'Go back to it' }).click();
  await toast(page, 'live names');
  assert.equal(await headOf(name, 'live'), first.digest);
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 3);
  assert.notEqual(first.digest, second.digest);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a pushed image appears by itself', async () => {
  const { name, page: base } = await repository('1.0');
  const { context, page } = await visit(browser, { as: 'dev' });
  await page.clock.install();
  await open(page, `${base}/tags`);
  await push(`platform/${name}`, '2.0', { text: 'later' });
  await page.clock.fastForward(11_000);
  await page.getByRole('link', { name: '2.0', exact: true }).waitFor({ timeout: 15_000 });
  await context.close();
});

test('who may not sees no acts, and a missing tag says so', async () => {
  const { context, page, faults } = await visit(browser, { as: 'guest' });
  await open(page, TAGS);
  assert.equal(await page.locator('tbody .check').count(), 0);
  await page.getByRole('button', { name: 'More actions for latest', exact: true }).click();
  const commands = await page.getByRole('menuitem').allTextContents();
  assert.deepEqual(commands, ['History', 'Copy to another project']);
  assert.deepEqual(faults, []);
  await open(page, `${TAGS}/no-such-tag`);
  await page.getByText('There is no no-such-tag here').waitFor();
  await shoot(page, 'artifact.missing');
  await context.close();
});

test('labels are made, put on an artifact, and go', async () => {
  const label = fresh('label');
  const { name, page: base } = await repository('1.0');
  const { context, page, faults } = await visit(browser, { as: 'mt' });
  await open(page, '/ui/projects/platform/labels');
  await page.getByRole('button', { name: 'New label' }).click();
  await dialog(page).getByLabel('Label').fill(label);
  await dialog(page).getByLabel('Orange').check();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.label');
  await dialog(page).getByRole('button', { name: 'Create label' }).click();
  await toast(page, label);
  await open(page, `${base}/tags`);
  await act(page, '1.0', 'Set labels');
  await dialog(page).getByLabel(label).check();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.set-labels');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, 'The labels are kept');
  const path = `/api/v2.0/projects/platform/repositories/${name}/artifacts/1.0?with_label=true`;
  assert.deepEqual(
    JSON.parse((await call('GET', path)).text).labels.map((one) => one.name),
    [label],
  );
  await page.getByRole('link', { name: '1.0', exact: true }).click();
  await page.locator('.chip', { hasText: label }).waitFor();
  await open(page, `/ui/projects/platform/labels?q=${label}`);
  await act(page, label, 'Delete label');
  await dialog(page).getByRole('button', { name: 'Delete label' }).click();
  await page.getByText('Nothing matches these filters').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a rule lets workloads in: made from a preset, tried out, changed, deleted', async () => {
  const { context, page, faults } = await visit(browser, { as: 'pa' });
  await open(page, '/ui/projects/platform/workload');
  const name = fresh('workload');
  await page.getByRole('button', { name: 'New rule' }).click();
  const form = dialog(page);
  await form.getByLabel('Where the tokens come from').selectOption({ label: 'Kubernetes service accounts' });
  await form.getByLabel('Where the tokens come from').selectOption({ label: 'GitHub Actions' });
  assert.equal(
    await form.getByLabel('Issuer', { exact: true }).inputValue(),
    'https://token.actions.githubusercontent.com',
  );
  await form.getByText('Replace the names in capitals with yours.').waitFor();
  await form.getByLabel('Name', { exact: true }).fill(name);
  await form.getByLabel('Subject', { exact: true }).fill('repo:*');
  await form.getByRole('button', { name: 'Create rule' }).click();
  await form.getByText('matches too much').waitFor();
  await form.getByLabel('Subject', { exact: true }).fill('repo:my-org/app:ref:refs/heads/main');
  await form.getByLabel('Further claims').fill('environment=production');
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.workload');
  await form.getByRole('button', { name: 'Create rule' }).click();
  await toast(page, `${name} is kept`);
  await shoot(page, 'workload');

  await page.getByRole('button', { name: 'Test a token' }).click();
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: 'https://token.actions.githubusercontent.com',
    sub: 'repo:stranger/app:ref:refs/heads/main',
  };
  await dialog(page)
    .getByLabel('Token', { exact: true })
    .fill(`${part({ alg: 'RS256' })}.${part(claims)}.AAAA`);
  await dialog(page).getByRole('button', { name: 'Test', exact: true }).click();
  await dialog(page).getByText('The token is refused').waitFor();
  await dialog(page).getByText('subject: the token has').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.workload-test');
  await dialog(page).getByRole('button', { name: 'Close' }).last().click();

  await act(page, name, 'Edit rule');
  await dialog(page).getByLabel('Role').selectOption({ label: 'Guest' });
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, `${name} is kept`);
  await act(page, name, 'Delete rule');
  await dialog(page).getByRole('button', { name: 'Delete rule' }).click();
  await toast(page, `${name} is deleted`);
  // What the server refused is shown in the dialog.
  assert.deepEqual(
    faults.filter((fault) => !/400/.test(String(fault))),
    [],
  );
  await context.close();
});

test('a rule for workloads that is given another name stays as it is', async () => {
  const path = '/api/ext/v1/projects/platform/workload-rules';
  const name = fresh('kept');
  const rule = {
    name,
    issuer: 'https://gitlab.example',
    audience: 'registry.example',
    subject: 'project_path:TOOLS/PROJECT:ref_type:branch:ref:GROUP/PROJECT',
    claims: { 'a=b': 'c' },
    role: 'guest',
    lifetime: 90,
  };
  await must('POST', path, { body: rule });
  const { context, page, faults } = await visit(browser, { as: 'pa' });
  await open(page, '/ui/projects/platform/workload');
  await act(page, name, 'Edit rule');
  const form = dialog(page);
  const [minutes, save] = [form.getByLabel('Minutes'), form.getByRole('button', { name: 'Save' })];
  assert.equal(await minutes.inputValue(), '1.5');
  await form.getByLabel('Name', { exact: true }).fill('');
  await minutes.fill('2000');
  await save.click();
  await form.getByText('This is needed.').waitFor();
  await form.locator('.field-error', { hasText: '1 to 1440' }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.workload.wrong');
  await minutes.fill('1.5');
  await form.getByLabel('Name', { exact: true }).fill(`${name}-2`);
  await save.click();
  await toast(page, `${name}-2 is kept`);
  const all = JSON.parse((await must('GET', `${path}?page_size=100`)).text);
  const found = all.find((one) => one.name === `${name}-2`);
  for (const key of ['subject', 'claims', 'lifetime']) assert.deepEqual(found[key], rule[key], key);
  await must('DELETE', `${path}/${found.id}`);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a rule keeps tags from being deleted, until it is gone', async () => {
  const { name, page: base } = await repository('v1');
  const { context, page, faults } = await visit(browser, { as: 'mt' });
  await open(page, '/ui/projects/platform/policies');
  await page.getByRole('button', { name: 'New rule' }).click();
  await dialog(page).getByLabel('Tags', { exact: true }).fill('v*');
  await dialog(page).getByLabel('Repositories', { exact: true }).fill(name);
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.rule');
  await dialog(page).getByRole('button', { name: 'Create rule' }).click();
  const sentence = `Tags v* in repositories ${name} stay as they are.`;
  // A sign that is not seen stands behind each star of a pattern.
  await page.getByRole('rowheader', { name: sentence.replace('*', '*\u2060') }).waitFor();
  await shoot(page, 'policies');
  await open(page, `${base}/tags`);
  await page.getByTitle('Immutable').waitFor();
  await act(page, 'v1', 'Delete tag');
  await dialog(page).getByRole('button', { name: 'Delete 1 tag' }).click();
  await dialog(page).getByText('A rule keeps this tag as it is.').waitFor();
  await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  await open(page, '/ui/projects/platform/policies');
  await act(page, sentence, 'Disable');
  await toast(page, 'The rule is disabled');
  await act(page, sentence, 'Delete rule');
  await dialog(page).getByRole('button', { name: 'Delete rule' }).click();
  await toast(page, 'The rule is deleted');
  await open(page, `${base}/tags`);
  await act(page, 'v1', 'Delete tag');
  await dialog(page).getByRole('button', { name: 'Delete 1 tag' }).click();
  await page.getByText('No tags yet').waitFor();
  // A refused deletion is an answer of 412.
  assert.deepEqual(
    faults.filter((fault) => !/412/.test(fault)),
    [],
  );
  await context.close();
});
