// What others write, and what goes wrong at the wrong moment: nothing runs, no page breaks, nothing typed is lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, PAGES, settled, shoot, violations, visit } from './lib/browser.js';
import { act, dialog, fresh, toast } from './lib/page.js';
import { ADMIN, call, must, push, pushIndexOf, seed, seedContent } from './lib/registry.js';
import { seedRows } from './lib/rows.js';

const SCRIPT = '<img src=x onerror=alert(1)>';
let browser;
before(async () => {
  await seed();
  await seedContent();
  await seedRows();
  browser = await launch();
});
after(() => browser?.close());

/** Visits, and counts every script of others that runs as a fault. */
async function watched(options) {
  const visited = await visit(browser, options);
  visited.page.on('dialog', (alert) => {
    visited.faults.push(`it ran: ${alert.message()}`);
    void alert.dismiss();
  });
  return visited;
}

const projectId = async (name) =>
  JSON.parse((await must('GET', `/api/v2.0/projects/${name}`)).text).project_id;

test('names, labels, descriptions and the audit log run nothing', async () => {
  const id = await projectId('platform');
  const label = `${SCRIPT}${Date.now().toString(36)}`;
  await must('POST', '/api/v2.0/labels', {
    body: { name: label, description: SCRIPT, color: '#b0479c', scope: 'p', project_id: id },
  });
  await must('POST', '/api/v2.0/usergroups', { body: { group_name: SCRIPT, group_type: 3 } });
  await must('POST', '/api/v2.0/robots', {
    body: {
      name: fresh('hostile'),
      description: SCRIPT,
      level: 'project',
      duration: 1,
      permissions: [
        { kind: 'project', namespace: 'platform', access: [{ resource: 'repository', action: 'pull' }] },
      ],
    },
  });
  await must('PUT', '/api/v2.0/projects/platform/repositories/tools%252Flint', {
    body: {
      description: `# ${SCRIPT}\n\n${SCRIPT}\n\n[run](javascript:alert(1)) **strong**\n\n<script>alert(2)</script>`,
    },
  });
  await must('POST', '/api/ext/v1/projects/platform/workload-rules', {
    body: {
      name: fresh('hostile'),
      issuer: 'https://issuer.example',
      audience: SCRIPT,
      subject: `repo:${SCRIPT}`,
      claims: { [SCRIPT]: SCRIPT },
      role: 'guest',
      lifetime: 900,
    },
  });
  const selector = (decoration) => ({ kind: 'doublestar', decoration, pattern: SCRIPT });
  await must('POST', '/api/v2.0/projects/platform/immutabletagrules', {
    body: {
      action: 'immutable',
      template: 'immutable_template',
      scope_selectors: { repository: [selector('repoMatches')] },
      tag_selectors: [selector('matches')],
    },
  });
  const [registry] = JSON.parse((await must('GET', '/api/v2.0/registries?q=name=rows-copy')).text);
  await must('POST', '/api/v2.0/replication/policies', {
    body: {
      name: `${SCRIPT}${Date.now().toString(36)}`,
      description: SCRIPT,
      src_registry: null,
      dest_registry: { id: registry.id },
      filters: [{ type: 'name', value: SCRIPT }],
      trigger: { type: 'manual' },
      enabled: false,
      override: true,
      dest_namespace: 'sandbox',
      dest_namespace_replace_count: 0,
    },
  });
  await call('GET', '/v2/', { as: [SCRIPT, 'wrong'] });
  const { context, page, faults } = await watched({ as: 'admin' });
  const texts = {
    '/ui/projects/platform/labels': label,
    '/ui/projects/platform/workload': SCRIPT,
    '/ui/projects/platform/policies': SCRIPT,
    '/ui/admin/replication': SCRIPT,
    '/ui/admin/groups': SCRIPT,
    '/ui/projects/platform/robots': SCRIPT,
    '/ui/projects/platform/repositories/tools/lint/-/info': 'strong',
    '/ui/admin/users': SCRIPT,
    '/ui/audit?period=all': undefined,
    '/ui/activity': undefined,
    [`/ui/explore?q=${encodeURIComponent(SCRIPT)}`]: undefined,
    [`/ui/projects?q=${encodeURIComponent(SCRIPT)}`]: undefined,
  };
  for (const [path, text] of Object.entries(texts)) {
    await open(page, path);
    if (text) await page.getByText(text, { exact: false }).first().waitFor();
    assert.equal(await page.locator('main img, main script, main [onerror]').count(), 0, path);
    assert.equal(await page.locator('main a[href^="javascript"]').count(), 0, path);
    faults.push(...(await violations(page)).map((fault) => `${path}: ${fault}`));
  }
  await shoot(page, 'hostile.projects');
  assert.deepEqual(faults, []);
  await context.close();
});

test('an artifact that is not what it should be breaks no page', async () => {
  const name = `platform/${fresh('odd')}`;
  await push(name, 'odd', {
    config: {
      created: 'yesterday',
      author: { name: 'x' },
      os: 7,
      config: { Env: 'A=b', Entrypoint: { a: 1 }, ExposedPorts: [1], Cmd: [null, 'run'] },
      history: [
        { created: 'never', created_by: 'RUN true' },
        { created: '2026-11-20T08:00:00Z', created_by: SCRIPT },
      ],
    },
    annotations: { '': 'no name', 'org.example.long': 'x'.repeat(3000), [SCRIPT]: 'a\nb' },
  });
  const child = await push(name, 'child', { text: 'child' });
  await pushIndexOf(name, 'twice', [child, child]);
  const { context, page, faults } = await watched({ as: 'dev' });
  const base = `/ui/projects/platform/repositories/${name.slice('platform/'.length)}/-/tags`;
  for (const path of ['', '/odd', '/odd/build', '/odd/history', '/odd/tags', '/twice']) {
    await open(page, base + path);
    await page.locator('.tabs, tbody').first().waitFor();
    faults.push(...(await violations(page)).map((fault) => `${path}: ${fault}`));
  }
  await shoot(page, 'hostile.artifact');
  assert.deepEqual(faults, []);
  await context.close();
});

test('an address may say anything', async () => {
  const { context, page, faults } = await watched({ as: 'admin' });
  for (const path of [
    '/ui/audit?from=yesterday&to=%22%3E&period=never&operation=%3Cb%3E&result=maybe&type=__proto__',
    '/ui/audit?page=-1&page_size=1000000&sort=-nothing&q=%25%5C%22',
    '/ui/projects?page=999',
    '/ui/projects?sort=name%3Bdrop&q=a,b=~c',
    '/ui/explore?q=%2F%2E%2E%25',
    '/ui/activity?show=nothing',
    '/ui/admin/jobs?state=nothing&page=0',
    '/ui/admin/access?subject=%3A%3A&action=x&project=',
    '/ui/projects/platform/repositories?view=tree&page=50',
    '/ui/projects/platform/repositories/edge-proxy/-/tags?page=40',
    '/ui/projects/platform/repositories/edge-proxy/-/artifacts?tags=perhaps',
    '/ui/projects/platform/repositories/edge-proxy/-/nothing',
    '/ui/me/nothing',
  ]) {
    await open(page, path);
    assert.equal(await page.locator('h1').count(), 1, path);
    assert.equal(await page.getByText('This page has a defect').count(), 0, path);
  }
  assert.deepEqual(faults, []);
  await context.close();
});

test('a defect of the server is said, with what to tell it by, and tried again', async () => {
  const { context, page } = await watched({ as: 'admin' });
  let broken = true;
  await page.route('**/api/ext/v1/projects/*/repositories/*/tags*', (route) =>
    broken
      ? route.fulfill({
          status: 500,
          headers: { 'x-request-id': 'req-1' },
          json: { errors: [{ code: 'UNKNOWN', message: 'internal' }] },
        })
      : route.continue(),
  );
  await open(page, '/ui/projects/platform/repositories/edge-proxy/-/tags');
  await page.getByText('req-1').waitFor();
  assert.deepEqual(await violations(page), []);
  await shoot(page, 'hostile.defect');
  broken = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('link', { name: '2.14.3', exact: true }).waitFor();
  await context.close();
});

test('a session that ends in the middle of a wizard loses nothing', async () => {
  const name = fresh('half');
  const { context, page } = await watched({ as: 'admin' });
  await open(page, '/ui/projects/platform/robots');
  await page.getByRole('button', { name: 'New robot' }).click();
  await dialog(page).getByLabel('Name').fill(name);
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Pull', exact: true }).click();
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await context.clearCookies({ name: 'sid' });
  await dialog(page).getByRole('button', { name: 'Create robot' }).click();
  await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  await page.locator('dialog:last-of-type [name=password]').fill(ADMIN[1]);
  await page.keyboard.press('Enter');
  await page.getByText('only now').waitFor();
  await dialog(page).getByText(name, { exact: false }).first().waitFor();
  await context.close();
});

test('a robot whose rights differ by project keeps them when something else of it is changed', async () => {
  const name = fresh('differs');
  const right = (action) => ({ resource: 'repository', action });
  await must('POST', '/api/v2.0/robots', {
    body: {
      name,
      level: 'system',
      duration: 1,
      permissions: [
        { kind: 'project', namespace: 'platform', access: [right('pull')] },
        { kind: 'project', namespace: 'edge', access: [right('pull'), right('push')] },
      ],
    },
  });
  const rights = async () => {
    const [robot] = JSON.parse((await must('GET', `/api/v2.0/robots?q=name=~${name}`)).text);
    return robot.permissions.map(({ namespace, access }) => `${namespace} ${access.length}`).sort();
  };
  const { context, page, faults } = await watched({ as: 'admin' });
  await open(page, `/ui/admin/robots?q=${name}`);
  const row = (await page.locator('tbody th .name').innerText()).trim();
  await act(page, row, 'Edit');
  await dialog(page).getByLabel('What it is for').fill('Watches');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByText('differs by project').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'wizard.differs');
  for (let step = 0; step < 2; step += 1) await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, 'is changed');
  assert.deepEqual(await rights(), ['edge 2', 'platform 1']);
  assert.deepEqual(faults, []);
  await context.close();
});

test('two tabs: what is gone in one is said in the other, and signing out reaches both', async () => {
  const id = await projectId('platform');
  const name = fresh('twice');
  const wording = { name, scope: 'p', project_id: id };
  await must('POST', '/api/v2.0/labels', { body: wording });
  const { context, page: first } = await watched({ as: 'admin' });
  const second = await context.newPage();
  for (const page of [first, second]) await open(page, `/ui/projects/platform/labels?q=${name}`);
  await act(first, name, 'Delete label');
  await dialog(first).getByRole('button', { name: 'Delete label' }).click();
  await first.getByText('Nothing matches these filters').waitFor();
  await act(second, name, 'Edit label');
  await dialog(second).getByLabel('Label', { exact: true }).fill(`${name}-2`);
  await dialog(second).getByRole('button', { name: 'Save' }).click();
  await dialog(second).getByRole('alert').waitFor();
  assert.equal(await dialog(second).getByLabel('Label', { exact: true }).inputValue(), `${name}-2`);
  await second.keyboard.press('Escape');
  await second.getByText('Nothing matches these filters').waitFor();
  await first.getByRole('button', { name: /account of admin/ }).click();
  await first.getByRole('menuitem', { name: 'Sign out' }).click();
  await first.waitForURL('**/ui/login');
  await second.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await second.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  await context.close();
});

test('back and forward keep filters, and close what is open', async () => {
  const { context, page, faults } = await watched({ as: 'admin' });
  await open(page, '/ui/projects/platform/repositories/edge-proxy/-/tags?q=nightly&sort=name');
  await page.getByRole('link', { name: 'nightly-2', exact: true }).click();
  await page.waitForURL('**/tags/nightly-2');
  await settled(page);
  await page.goBack();
  await page.waitForURL(/q=nightly&sort=name/);
  await settled(page);
  assert.equal(await page.locator('[data-filter]').inputValue(), 'nightly');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 3);
  await act(page, 'nightly-1', 'Delete tag');
  await dialog(page).getByRole('button', { name: 'Cancel' }).waitFor();
  await page.goForward();
  await page.waitForURL('**/tags/nightly-2');
  assert.equal(await page.locator('dialog[open]').count(), 0);
  await open(page, '/ui/admin/access');
  await page.goto(`${PAGES}/ui/admin/access?subject=user%3Adev&action=repository%3Apush&project=platform`);
  await page.getByText('dev may do this in platform: Push').waitFor();
  await page.getByLabel('What', { exact: true }).selectOption({ label: 'Pull' });
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('dev may do this in platform: Pull').waitFor();
  await page.goBack();
  await page.getByText('dev may do this in platform: Push').waitFor();
  const chosen = page.getByLabel('What', { exact: true }).locator('option:checked');
  assert.equal(await chosen.innerText(), 'Push');
  assert.deepEqual(faults, []);
  await context.close();
});

test('the keyboard alone makes a label, puts it on a tag, and deletes it', async () => {
  const name = fresh('keys');
  const { context, page, faults } = await watched({ as: 'mt' });
  await open(page, '/ui/projects/platform/labels');
  /** Goes on with the Tab key until the focus is on what has this name. */
  const reach = async (wanted) => {
    for (let step = 0; step < 120; step += 1) {
      const label = await page.evaluate(() => {
        const at = document.activeElement;
        return (at?.ariaLabel ?? at?.labels?.[0]?.innerText ?? at?.innerText ?? '').trim();
      });
      if (label === wanted) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`no way to ${wanted}`);
  };
  await reach('New label');
  await page.keyboard.press('Enter');
  await dialog(page).waitFor();
  await reach('Label');
  await page.keyboard.type(name);
  await page.keyboard.press('Enter');
  await toast(page, name);
  await page.getByRole('rowheader', { name }).waitFor();
  await open(page, '/ui/projects/platform/repositories/edge-proxy/-/tags?q=nightly-3');
  await reach('Select nightly-3');
  await page.keyboard.press('Space');
  await reach('Set labels');
  await page.keyboard.press('Enter');
  await dialog(page).getByText(name).waitFor();
  await reach(name);
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await toast(page, 'The labels are kept');
  await page.locator('tbody').getByText(name).waitFor();
  await open(page, `/ui/projects/platform/labels?q=${name}`);
  await reach(`More actions for ${name}`);
  await page.keyboard.press('Enter');
  // The commands are made when the menu opens.
  await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'menuitem');
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await dialog(page).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Cancel');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing matches these filters').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('what happens appears in the activity, and can be held', async () => {
  const name = fresh('live');
  const { context, page, faults } = await watched({ as: 'admin' });
  await page.clock.install();
  await open(page, '/ui/activity');
  await push(`platform/${name}`, '1');
  await page.clock.fastForward(6000);
  await page.getByText(`platform/${name}:1`).first().waitFor();
  await page.getByRole('button', { name: 'Pushes' }).click();
  await page.waitForURL(/show=push/);
  faults.push(...(await violations(page)));
  await shoot(page, 'activity.push');
  await page.getByRole('button', { name: 'Hold' }).click();
  await push(`platform/${name}`, '2');
  await page.clock.fastForward(6000);
  await settled(page);
  assert.equal(await page.getByText(`platform/${name}:2`).count(), 0);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByText(`platform/${name}:2`).first().waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('what a repository is for is written with a look at how it will be shown', async () => {
  const name = fresh('described');
  await push(`platform/${name}`, '1');
  const { context, page, faults } = await watched({ as: 'dev' });
  await open(page, `/ui/projects/platform/repositories/${name}/-/info`);
  await page.getByRole('button', { name: 'Edit description' }).click();
  await dialog(page)
    .getByLabel('Description')
    .fill('## Edge\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`code`');
  faults.push(...(await violations(page)));
  await dialog(page).getByRole('button', { name: 'Preview' }).click();
  await dialog(page).getByRole('heading', { name: 'Edge' }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'dialog.description');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await toast(page, 'The description is kept');
  await page.locator('main').getByRole('heading', { name: 'Edge', exact: true }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'repository.description');
  assert.deepEqual(faults, []);
  await context.close();
  const { context: other, page: reader } = await watched({ as: 'guest' });
  await open(reader, `/ui/projects/platform/repositories/${name}/-/info`);
  assert.equal(await reader.getByRole('button', { name: 'Edit description' }).count(), 0);
  await other.close();
});

test('work in the background is told of from every page', async () => {
  const { context, page, faults } = await watched({ as: 'admin' });
  await open(page, '/ui/admin/gc');
  await page.getByRole('button', { name: 'Only count' }).click();
  await toast(page, 'Counting has begun');
  await page.getByRole('button', { name: /^Work in the background/ }).click();
  await dialog(page).getByText('Garbage collection').first().waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'tray');
  await dialog(page).getByRole('link', { name: 'All jobs' }).click();
  await page.waitForURL('**/ui/admin/jobs');
  await page.getByRole('heading', { name: 'All jobs' }).waitFor();
  await settled(page);
  await page.getByRole('button', { name: 'State', exact: true }).last().click();
  await page.getByRole('menuitemradio', { name: 'Done' }).click();
  await page.waitForURL(/state=done/);
  await settled(page);
  await page
    .getByRole('button', { name: /^More actions for Garbage collection, job/ })
    .first()
    .click();
  await page.getByRole('menuitem', { name: 'Log' }).click();
  await dialog(page).locator('.log-text, .muted').first().waitFor();
  faults.push(...(await violations(page)));
  assert.deepEqual(faults, []);
  await context.close();
});
