// The directory (LDAP): its settings, its people and groups, signing in by it, and names in it that are made to run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, PAGES, settled, shoot, violations, visit } from './lib/browser.js';
import {
  GROUPS,
  LONG,
  PASSWORD,
  PEOPLE,
  READER,
  READER_PASSWORD,
  SCRIPT,
  startDirectory,
} from './lib/directory.js';
import { dialog, toast } from './lib/page.js';
import { call, must, seed } from './lib/registry.js';

const SETTINGS = '/ui/admin/settings/ldap';
/** No directory. */
const NONE = {
  auth_mode: 'db_auth',
  ldap_url: '',
  ldap_base_dn: '',
  ldap_search_dn: '',
  ldap_filter: '',
  ldap_group_search_filter: '',
  ldap_uid: 'cn',
};
let browser;
let directory;
before(async () => {
  await seed();
  await must('PUT', '/api/v2.0/configurations', { body: NONE });
  browser = await launch();
  directory = await startDirectory();
});
after(async () => {
  await must('PUT', '/api/v2.0/configurations', { body: NONE });
  await directory?.stop();
  await browser?.close();
});

/** Visits, and counts every script of others that runs as a fault. */
async function watched(options) {
  const visited = await visit(browser, options);
  visited.page.on('dialog', (alert) => {
    visited.faults.push(`it ran: ${alert.message()}`);
    void alert.dismiss();
  });
  return visited;
}

const setUp = () =>
  must('PUT', '/api/v2.0/configurations', {
    body: {
      auth_mode: 'ldap_auth',
      ldap_url: directory.url,
      ldap_base_dn: PEOPLE,
      ldap_search_dn: READER,
      ldap_search_password: READER_PASSWORD,
      ldap_uid: 'uid',
      ldap_filter: '(objectClass=inetOrgPerson)',
      ldap_group_base_dn: GROUPS,
      ldap_group_search_filter: '(objectClass=groupOfNames)',
      ldap_group_attribute_name: 'cn',
      ldap_group_lookup: 'search',
    },
  });

test('a directory is tried out before it is saved, with the reason where it does not work', async () => {
  const { context, page, faults } = await watched({ as: 'admin' });
  await open(page, '/ui/admin/users');
  assert.equal(await page.getByRole('button', { name: 'Import from LDAP' }).count(), 0);
  await open(page, '/ui/admin/settings');
  await page.getByRole('link', { name: 'Directory (LDAP)' }).click();
  await page.waitForURL(`**${SETTINGS}`);
  const people = page.locator('section', { has: page.getByRole('heading', { name: 'People', exact: true }) });
  const field = (name, within = page) =>
    within.getByLabel(new RegExp(`^${name.replace(/[()]/g, '\\$&')}\\s*(\\(optional\\))?$`));
  const tested = () => page.getByRole('button', { name: 'Test the connection' });
  assert.ok(await tested().isDisabled(), 'there is nothing to test');
  await field('Address').fill('ldap://127.0.0.1:1');
  await field('Where to search (DN)', people).fill(PEOPLE);
  await field('Account (DN)').fill(READER);
  await field('Its password').fill('wrong');
  await field('Attribute of the user name').fill('uid');
  await tested().click();
  await page.getByText('the directory cannot be reached').waitFor();
  await field('Address').fill(directory.url);
  await tested().click();
  await page.getByText('the directory refuses ldap_search_dn or its password').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'settings.ldap.refused');
  await field('Its password').fill(READER_PASSWORD);
  await tested().click();
  await page.getByText('It works: the directory answers').waitFor();
  await field('Seconds that it has for an answer').fill('0');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Type a whole number, from 1 to 300.').waitFor();
  await field('Seconds that it has for an answer').fill('5');
  await field('Filter', people).fill('((');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('.field-error', { hasText: 'must be empty or a filter' }).waitFor();
  await field('Filter', people).fill('(objectClass=inetOrgPerson)');
  const sent = page.waitForRequest((request) => request.method() === 'PUT');
  await page.getByRole('button', { name: 'Save' }).click();
  assert.deepEqual(Object.keys((await sent).postDataJSON()).sort(), [
    'ldap_base_dn',
    'ldap_filter',
    'ldap_search_dn',
    'ldap_search_password',
    'ldap_uid',
    'ldap_url',
  ]);
  await toast(page, 'Saved');
  assert.equal(await field('Its password').inputValue(), '');
  await page.getByRole('button', { name: 'People', exact: true }).click();
  await page.getByText('135 found, 100 shown').waitFor();
  await page.getByLabel('Filter by name or mail address').fill('陈');
  await page.locator('.pick', { hasText: 'xiaoyu' }).waitFor();
  assert.equal(await page.locator('.pick').count(), 1);
  await page.getByLabel('Filter by name or mail address').fill('img');
  await page.locator('.pick', { hasText: SCRIPT }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'settings.ldap');
  // What the server refused is a failed request to the browser.
  assert.deepEqual(
    faults.filter((fault) => !/\b400\b/.test(fault)),
    [],
  );
  await context.close();
});

test('people are imported, and who cannot be is named with the reason', async () => {
  await setUp();
  const { context, page, faults } = await watched({ as: 'admin' });
  await open(page, '/ui/admin/users');
  await page.getByRole('button', { name: 'Import from LDAP' }).click();
  await dialog(page).getByText('135 found, 100 shown').waitFor();
  const import_ = (name) => dialog(page).getByRole('button', { name });
  assert.ok(
    await dialog(page)
      .getByRole('button', { name: /^Import 0/ })
      .isDisabled(),
  );
  for (const name of ['mallory', 'xiaoyu', LONG.slice(0, 40), 'another developer']) {
    await dialog(page).getByLabel('Filter by name or mail address').fill(name);
    await dialog(page).locator('.picks .check').first().check();
  }
  faults.push(...(await violations(page)));
  await shoot(page, 'users.import');
  await import_('Import 4 people').click();
  await dialog(page).getByText('1 person was not imported.').waitFor();
  await dialog(page)
    .getByText(/^dev: /)
    .waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'users.import.failed');
  await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('xiaoyu', { exact: true }).waitFor();
  await page.getByText(SCRIPT).first().waitFor();
  assert.deepEqual(
    faults.filter((fault) => !/\b404\b/.test(fault)),
    [],
  );
  await context.close();
});

test('a directory that gave no answer is asked for the same name again', async () => {
  await setUp();
  const { context, page } = await watched({ as: 'admin' });
  let failing = true;
  await page.route('**/ldap/users/search*', (route) =>
    failing
      ? route.fulfill({ status: 500, json: { errors: [{ message: 'no answer in time' }] } })
      : route.continue(),
  );
  await open(page, '/ui/admin/users');
  await page.getByRole('button', { name: 'Import from LDAP' }).click();
  await dialog(page).getByText('Not everything can be listed').waitFor();
  await dialog(page).getByLabel('Filter by name or mail address').fill('xiaoyu');
  const ask = () => dialog(page).getByRole('button', { name: 'Search', exact: true }).click();
  const refused = page.waitForResponse((answer) => answer.url().includes('username=xiaoyu'));
  await ask();
  await refused;
  failing = false;
  await ask();
  await dialog(page).locator('.pick', { hasText: 'xiaoyu' }).waitFor();
  await context.close();
});

test('a group of the directory is found there, or named by its entry', async () => {
  await setUp();
  const { context, page, faults } = await watched({ as: 'admin' });
  await open(page, '/ui/admin/groups');
  const create = () => dialog(page).getByRole('button', { name: 'Create group' }).click();
  await page.getByRole('button', { name: 'New group' }).click();
  await dialog(page).getByText('4 found').waitFor();
  await dialog(page).locator('.picks label', { hasText: SCRIPT }).waitFor();
  await dialog(page).locator('.picks label', { hasText: 'cn=yard' }).click();
  faults.push(...(await violations(page)));
  await shoot(page, 'groups.search');
  await create();
  await page.locator('tbody', { hasText: `cn=yard,${GROUPS}` }).waitFor();
  await page.getByRole('button', { name: 'New group' }).click();
  await dialog(page).getByRole('button', { name: 'By DN' }).click();
  await dialog(page).getByLabel('Name in the directory (DN)').fill(`cn=nobody,${GROUPS}`);
  await create();
  await dialog(page).getByText('LDAP Group DN is not found').waitFor();
  await dialog(page).getByLabel('Name in the directory (DN)').fill(`cn=crane,${GROUPS}`);
  await dialog(page).getByLabel('Group', { exact: false }).last().fill('Crane drivers');
  await create();
  await page.getByText('Crane drivers', { exact: true }).waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'groups.ldap');
  assert.deepEqual(
    faults.filter((fault) => !/\b400\b/.test(fault)),
    [],
  );
  await context.close();
});

test('the sign-in page names the directory, and its names run nothing on any page', async () => {
  await setUp();
  const { context, page, faults } = await watched();
  await open(page, '/ui/login');
  await page.getByText('Of your account in the directory (LDAP)').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'sign-in.ldap');
  await page.fill('[name=principal]', 'mallory');
  await page.fill('[name=password]', PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.app');
  await settled(page);
  await page
    .getByRole('button', { name: /^Account/ })
    .or(page.locator('.header-end [aria-haspopup=menu]'))
    .last()
    .click();
  await page.locator('.menu-label', { hasText: SCRIPT }).waitFor();
  await page.goto(`${PAGES}/ui/me/profile`);
  await settled(page);
  assert.equal(await page.locator('main img, header img, [onerror]').count(), 0);
  await context.close();

  await call('POST', '/api/v2.0/usergroups', {
    body: { group_name: '', group_type: 1, ldap_group_dn: `o=hostile,${GROUPS}` },
  });
  const groups = JSON.parse((await must('GET', '/api/v2.0/usergroups?page_size=100')).text);
  const { id } = groups.find(({ ldap_group_dn }) => ldap_group_dn?.startsWith('o=hostile'));
  await must('POST', '/api/v2.0/projects/platform/members', { body: { role_id: 3, member_group: { id } } });
  const admin = await watched({ as: 'admin' });
  for (const path of [
    '/ui/admin/users',
    '/ui/admin/groups',
    '/ui/projects/platform/members',
    '/ui/audit?period=all',
    '/ui/activity',
    '/ui/admin/access?subject=user%3Amallory&action=repository%3Apull&project=platform',
  ]) {
    await open(admin.page, path);
    assert.equal(await admin.page.locator('main img, main script, main [onerror]').count(), 0, path);
    admin.faults.push(...(await violations(admin.page)).map((fault) => `${path}: ${fault}`));
  }
  assert.deepEqual([...faults, ...admin.faults], []);
  await admin.context.close();
});
