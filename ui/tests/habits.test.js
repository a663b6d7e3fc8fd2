// What people reported of other registries, and must not happen here.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, PAGES, settled, violations, visit } from './lib/browser.js';
import { fresh, toast } from './lib/page.js';
import { call, must, PASSWORD, seed, seedContent } from './lib/registry.js';
import { seedRows } from './lib/rows.js';

let browser;
before(async () => {
  await seed();
  await seedContent();
  await seedRows();
  browser = await launch();
});
after(() => browser?.close());

const TAGS = '/ui/projects/platform/repositories/edge-proxy/-/tags';

test('a filter that is typed into changes the rows, in every list', async () => {
  const { context, page } = await visit(browser, { as: 'admin' });
  const lists = [
    ['/ui/projects', 'edge', ['edge']],
    ['/ui/projects/platform/repositories', 'lint', ['tools/lint']],
    [TAGS, 'nightly-2', ['nightly-2']],
    ['/ui/projects/platform/robots', 'mirror', [/\+mirror/]],
    ['/ui/projects/platform/labels', 'production', ['production']],
    ['/ui/me/access', 'payments', ['payments']],
    ['/ui/admin/users', 'outsid', ['outsider']],
    ['/ui/admin/groups', '北岸', ['北岸运维组']],
    ['/ui/admin/registries', 'rows-copy', ['rows-copy']],
    ['/ui/admin/replication', 'rows-copy', ['rows-copy']],
  ];
  for (const [path, typed, wanted] of lists) {
    await open(page, path);
    const before = await page.locator('tbody tr').count();
    await page.locator('[data-filter]').pressSequentially(typed);
    await page.waitForURL(new RegExp(`q=${encodeURIComponent(typed)}`));
    await settled(page);
    const names = await page.locator('tbody tr > th').allInnerTexts();
    assert.equal(names.length, wanted.length, path);
    assert.ok(
      names.every((name, at) => name.match(wanted[at])),
      `${path}: ${names.join()}`,
    );
    assert.ok(names.length <= before, path);
    const another = await context.newPage();
    await another.goto(page.url());
    await settled(another);
    assert.equal(await another.locator('[data-filter]').inputValue(), typed);
    assert.equal(await another.locator('tbody tr').count(), wanted.length);
    await another.close();
  }
  await context.close();
});

test('what the page asks by itself does not keep a session alive', async () => {
  const { context, page } = await visit(browser, { as: 'dev' });
  const asked = [];
  page.on('request', (request) => {
    if (request.url().includes('/edge-proxy/tags'))
      asked.push(request.headers()['x-harbor-no-session-renewal'] ?? 'renews');
  });
  await page.clock.install();
  await open(page, TAGS);
  await page.clock.fastForward(11_000);
  await settled(page);
  assert.deepEqual(asked.slice(0, 2), ['renews', 'true']);
  await context.close();
});

test('dates and numbers are there in every language', async () => {
  const shown = {};
  for (const language of ['en', 'zh-CN']) {
    const { context, page } = await visit(browser, { as: 'dev', language });
    await open(page, `${TAGS}?sort=name`);
    const row = page.locator('tbody tr', { hasText: '2.14.3' });
    const [pushed] = await row.locator('time').all();
    shown[language] = [await pushed.innerText(), await pushed.getAttribute('title')];
    await open(page, `${TAGS}/2.14.3`);
    shown[language].push(await page.locator('dl .fact').allInnerTexts());
    await context.close();
  }
  assert.match(shown.en[0], /^\d+\w+ ago$/);
  assert.match(shown.en[1], /^\d+ \w{3} \d{4}, \d\d:\d\d:\d\d UTC$/);
  assert.match(shown['zh-CN'][0], /^\d+\s*\p{Script=Han}+前$/u);
  assert.match(shown['zh-CN'][1], /^\d{4}年\d+月\d+日/);
  assert.ok(shown.en[2].includes('20 Nov 2026, 08:02:00 UTC'), shown.en[2].join());
  assert.ok(shown['zh-CN'][2].some((text) => /^2026年11月20日/.test(text)));
});

test('a password is changed by keyboard alone', async () => {
  const name = fresh('typist');
  const body = {
    username: name,
    realname: 'A',
    email: `${name}@northquay.example`,
    password: PASSWORD,
    comment: '',
  };
  await must('POST', '/api/v2.0/users', { body });
  const { context, page, faults } = await visit(browser, { as: name });
  await open(page, '/ui/me/password');
  const label = () =>
    page.evaluate(
      () => document.activeElement?.labels?.[0]?.innerText.trim() ?? document.activeElement?.ariaLabel,
    );
  /** Goes on with the Tab key until the focus is on what has this name. */
  const reach = async (wanted) => {
    for (let step = 0; step < 60; step += 1) {
      if ((await label()) === wanted) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`no way to ${wanted}`);
  };
  for (const [field, text] of [
    ['Current password', PASSWORD],
    ['New password', 'Quay-crane-8'],
    ['New password again', 'Quay-crane-8'],
  ]) {
    await reach(field);
    await page.keyboard.type(text);
  }
  await page.keyboard.press('Enter');
  await toast(page, 'Your password is changed');
  assert.deepEqual(faults, []);
  await context.close();
});

test('signing in works while one of the calls that help it fails, whichever it is', async () => {
  const { context: first, page: looker } = await visit(browser);
  const helpers = new Set();
  looker.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (/^\/(api|c)\//.test(pathname)) helpers.add(pathname);
  });
  await open(looker, '/ui/login');
  await first.close();
  assert.ok(helpers.has('/api/v2.0/systeminfo'), [...helpers].join());
  for (const helper of helpers) {
    const { context, page } = await visit(browser);
    let broken = true;
    await page.route(`**${helper}`, (route) =>
      broken
        ? route.fulfill({ status: 500, json: { errors: [{ code: 'UNKNOWN', message: 'no' }] } })
        : route.continue(),
    );
    await open(page, '/ui/login');
    if (helper.endsWith('/systeminfo'))
      await page.getByText('the registry did not say what it offers').waitFor();
    assert.deepEqual(await violations(page), [], helper);
    await page.fill('[name=principal]', 'dev');
    await page.fill('[name=password]', PASSWORD);
    broken = false;
    await page.keyboard.press('Enter');
    await page.waitForSelector('.app');
    await context.close();
  }
});

test('a tab that is left alone is signed out at the limit, and says so by itself', async () => {
  const name = fresh('idle');
  const body = { username: name, realname: name, email: `${name}@northquay.example`, password: PASSWORD };
  await must('POST', '/api/v2.0/users', { body });
  const { context, page } = await visit(browser, { as: [name, PASSWORD] });
  await page.clock.install();
  await open(page, '/ui/projects');
  const as = [name, PASSWORD];
  const [session] = JSON.parse((await must('GET', '/api/ext/v1/me/sessions', { as })).text);
  // What the limit does to it, without the wait; the clock of the page is the one that moves.
  await must('DELETE', `/api/ext/v1/me/sessions/${session.id}`, { as });
  await page.clock.fastForward(new Date(session.expires_at) - Date.now() + 60_000);
  await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  assert.deepEqual(await violations(page), []);
  assert.equal((await call('GET', '/api/ext/v1/me/sessions', { as })).text.trim(), '[]');
  await context.close();
});

test("addresses of Harbor's portal lead to the pages", async () => {
  const { project_id: id } = JSON.parse((await must('GET', '/api/v2.0/projects/platform')).text);
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  for (const [old, now] of [
    ['/harbor/projects', '/ui/projects'],
    [`/harbor/projects/${id}/members`, '/ui/projects/platform/members'],
    [`/harbor/projects/${id}/configs`, '/ui/projects/platform/settings'],
    [`/harbor/projects/${id}/logs`, '/ui/projects/platform/audit'],
    [
      `/harbor/projects/${id}/repositories/tools%252Flint/artifacts-tab`,
      '/ui/projects/platform/repositories/tools/lint/-/artifacts',
    ],
    ['/harbor/robot-accounts', '/ui/admin/robots'],
    ['/harbor/clearing-job/audit-log-purge', '/ui/admin/audit-retention'],
    ['/devcenter-api-2.0', '/ui/api'],
  ]) {
    // What stands before the pages in development passes only the API on.
    await page.goto(PAGES + old.replace(/^\/harbor/, '/ui/harbor').replace('/devcenter-api-2.0', '/ui/api'));
    await page.waitForURL(`**${now}`);
    await settled(page);
    assert.equal(await page.locator('.error-meta').count(), 0, old);
  }
  assert.deepEqual(faults, []);
  await page.goto(`${PAGES}/ui/harbor/projects/999999/members`);
  await page.getByText('This address is one of Harbor').waitFor();
  await context.close();
});

test('single keys move among rows, and can be switched off', async () => {
  const { context, page, faults } = await visit(browser, { as: 'admin' });
  await open(page, `${TAGS}?sort=name`);
  const names = await page.locator('tbody .row-link').allTextContents();
  const at = () =>
    page.evaluate(() => document.activeElement?.closest('tr')?.querySelector('.row-link')?.textContent);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.equal(await at(), names[1]);
  await page.keyboard.press('x');
  assert.ok(await page.getByLabel(`Select ${names[1]}`, { exact: true }).isChecked());
  await page.keyboard.press('k');
  assert.equal(await at(), names[0]);
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/tags/${names[0]}`);
  await open(page, '/ui/me/preferences');
  await page.getByLabel('Single keys as shortcuts').uncheck();
  await open(page, TAGS);
  await page.keyboard.press('j');
  assert.equal(await at(), undefined);
  assert.deepEqual(faults, []);
  await context.close();
});
