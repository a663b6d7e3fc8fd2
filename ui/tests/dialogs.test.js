// Every dialog: that it fits the narrowest screen in the longest language, and that the keyboard alone reaches all of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { dialog } from './lib/page.js';
import { seed, seedContent } from './lib/registry.js';
import { seedRows } from './lib/rows.js';

const full = process.env.UI_FULL === '1';
const IN = '/ui/projects/platform';
const TAGS = `${IN}/repositories/edge-proxy/-/tags`;
/** The menu of a row, or of the page. */
const ROW = 'tbody [aria-haspopup=menu]';
const MORE = '.page-actions [aria-haspopup=menu]';
const SELECT = 'tbody .check';
/** By name of the picture: where it is, and what is pressed there: selectors, and keys of the
 *  texts of buttons. */
const DIALOGS = {
  'new-project': ['/ui/projects', 'projects.new'],
  'push-guide': [`${IN}/repositories`, 'push.title'],
  'delete-repositories': [`${IN}/repositories`, SELECT, 'action.delete'],
  'repository.guide': [TAGS, 'push.title'],
  'repository.delete': [TAGS, MORE, 'repositories.delete'],
  'repository.describe': [TAGS.replace(/tags$/, 'info'), 'repositories.describe'],
  'tag.add': [TAGS, ROW, 'tags.add'],
  'tag.labels': [TAGS, ROW, 'labels.set'],
  'tag.copy': [TAGS, ROW, 'artifact.copyTo'],
  'tag.delete': [TAGS, ROW, 'tags.delete'],
  'artifact.delete': [`${TAGS}/2.14.3`, MORE, 'artifact.delete'],
  'member.add': [`${IN}/members`, 'members.add'],
  'robot.new': [`${IN}/robots`, 'robots.new'],
  'robot.permissions': [`${IN}/robots`, ROW, 'robots.edit', 'robots.next'],
  'robot.rotate': [`${IN}/robots`, ROW, 'robots.rotate'],
  'robot.delete': [`${IN}/robots`, ROW, 'robots.delete'],
  'workload.new': [`${IN}/workload`, 'workload.new'],
  'workload.test': [`${IN}/workload`, 'workload.test'],
  'workload.delete': [`${IN}/workload`, ROW, 'workload.delete'],
  'immutable.new': [`${IN}/policies`, 'immutable.new'],
  'immutable.edit': [`${IN}/policies`, ROW, 'immutable.edit'],
  'immutable.delete': [`${IN}/policies`, ROW, 'immutable.delete'],
  'retention.new': [`${IN}/retention`, 'immutable.new'],
  'retention.edit': [`${IN}/retention`, ROW, 'immutable.edit'],
  'retention.run': [`${IN}/retention`, 'retention.run'],
  'label.new': [`${IN}/labels`, 'labels.new'],
  'label.delete': [`${IN}/labels`, ROW, 'labels.delete'],
  'project.delete': ['/ui/projects/empty/settings', 'projects.delete'],
  'user.new': ['/ui/admin/users', 'users.new'],
  'user.edit': ['/ui/admin/users?q=dev', ROW, 'users.edit'],
  'user.password': ['/ui/admin/users?q=dev', ROW, 'users.setPassword'],
  'user.promote': ['/ui/admin/users?q=dev', ROW, 'users.promote'],
  'user.delete': ['/ui/admin/users?q=dev', ROW, 'users.delete'],
  'group.new': ['/ui/admin/groups', 'groups.new'],
  'group.rename': ['/ui/admin/groups', ROW, 'groups.rename'],
  'group.delete': ['/ui/admin/groups', ROW, 'groups.delete'],
  quota: ['/ui/admin/quotas', 'tbody .btn'],
  'registry.new': ['/ui/admin/registries', 'registries.new'],
  'registry.edit': ['/ui/admin/registries', ROW, 'registries.edit'],
  'registry.delete': ['/ui/admin/registries', ROW, 'registries.delete'],
  'policy.new': ['/ui/admin/replication', 'replication.new'],
  'policy.what': ['/ui/admin/replication', ROW, 'replication.edit', 'robots.next'],
  'policy.where': ['/ui/admin/replication', ROW, 'replication.edit', 'robots.next', 'robots.next'],
  'policy.when': [
    '/ui/admin/replication',
    ROW,
    'replication.edit',
    'robots.next',
    'robots.next',
    'robots.next',
  ],
  'policy.delete': ['/ui/admin/replication', ROW, 'replication.delete'],
  'audit.purge': ['/ui/admin/audit-retention', 'purge.start'],
  shortcuts: ['/ui/', '?'],
  notices: ['/ui/', '.header-end [aria-haspopup=dialog]:nth-of-type(2)'],
  work: ['/ui/', '.header-end [aria-haspopup=dialog]'],
  palette: ['/ui/', '.search-button'],
};
const FORMS = [
  { theme: 'dark', language: 'zh-CN', width: 375 },
  { theme: 'light', language: 'en', width: 375 },
  { theme: 'light', language: 'zh-CN', width: 1280 },
  { theme: 'dark', language: 'en', width: 1280 },
];

let browser;
before(async () => {
  await seed();
  await seedContent();
  await seedRows();
  browser = await launch();
});
after(() => browser?.close());

const catalogue = (language) =>
  JSON.parse(readFileSync(new URL(`../src/i18n/${language}.json`, import.meta.url), 'utf8'));

/** Presses a key, what a selector finds first, or what says a text: in the dialog or menu that is open, else in the page. */
async function press(page, words, wanted) {
  if (wanted === '?') return page.keyboard.press(wanted);
  if (!(wanted in words)) return page.locator(wanted).first().click();
  const around = page.locator('dialog[open], .menu:popover-open, body').last();
  const named = (role) => around.getByRole(role, { name: words[wanted], exact: true });
  return named('button').or(named('menuitem')).first().click();
}

/** What of a dialog is outside the screen, or is scrolled to sideways. */
const outside = (page) =>
  page.evaluate(() => {
    const opened = [...document.querySelectorAll('dialog[open]')].at(-1);
    const { left, right, top, bottom } = opened.getBoundingClientRect();
    const found = [];
    if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight)
      found.push(`it is at ${[left, top, right, bottom].map(Math.round)}`);
    for (const part of opened.querySelectorAll('.dialog-head, .dialog-body, .dialog-foot, .btn'))
      if (part.scrollWidth > part.clientWidth + 1)
        found.push(`${part.className}: ${part.scrollWidth} in ${part.clientWidth}`);
    return found;
  });

/** What the Tab key does not reach, of what takes input. */
async function unreached(page) {
  const all = await page.evaluate(() => {
    const opened = [...document.querySelectorAll('dialog[open]')].at(-1);
    const parts = [...opened.querySelectorAll('input, select, textarea, button, a[href], summary')];
    // One of a group of radio buttons, the one that is chosen, stands for all.
    const takes = (part) =>
      !part.disabled &&
      part.checkVisibility() &&
      !(part.type === 'radio' && !part.checked) &&
      part.tabIndex >= 0;
    const wanted = parts.filter(takes);
    wanted.forEach((part, at) => (part.dataset.reach = at));
    return wanted.map(
      (part) => part.getAttribute('aria-label') ?? part.labels?.[0]?.innerText ?? part.innerText,
    );
  });
  const reached = new Set();
  for (let step = 0; step < all.length + 10 && reached.size < all.length; step += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => document.activeElement?.dataset.reach);
    if (at !== undefined) reached.add(Number(at));
  }
  return all.filter((_, at) => !reached.has(at));
}

for (const { theme, language, width } of full ? FORMS : FORMS.slice(0, 1)) {
  const kind = `${theme}.${language}.${width}`;
  test(`dialogs ${kind}`, async () => {
    const words = catalogue(language);
    const { context, page, faults } = await visit(browser, { as: 'admin', theme, language, width });
    const said = [];
    for (const [name, [path, ...steps]] of Object.entries(DIALOGS)) {
      await open(page, path);
      for (const step of steps) await press(page, words, step);
      await dialog(page).last().waitFor();
      await page.waitForTimeout(100);
      await shoot(page, `dialog.${name}.${kind}`);
      const found = [...(await violations(page)), ...(await outside(page)), ...(await unreached(page))];
      said.push(...found.map((fault) => `${name}: ${fault}`));
      await page.keyboard.press('Escape');
      await dialog(page).waitFor({ state: 'detached' });
    }
    assert.deepEqual([...faults, ...said], []);
    await context.close();
  });
}
