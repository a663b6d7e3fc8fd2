// The pictures of README and docs, taken anew: `npm run pictures`.
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, open, settled, visit } from './lib/browser.js';
import { dialog } from './lib/page.js';
import { call, must, REPOSITORY, seed, seedContent } from './lib/registry.js';

const WANTED = process.env.UI_PICTURES === '1';
/** Small files: a page of 1280 by 800 becomes a picture of 960 by 600. */
const SCALE = 0.75;
const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const TAGS = `/ui/projects/platform/repositories/${REPOSITORY.split('/')[1]}/-/tags`;

/** By file: where it is taken, in which form, and what is done there first. */
const PICTURES = {
  home: { path: '/ui/' },
  projects: { path: '/ui/projects' },
  'tags-dark': { path: TAGS, theme: 'dark' },
  'projects-zh': { path: '/ui/projects', language: 'zh-CN' },
  repositories: { path: '/ui/projects/platform/repositories' },
  tags: { path: TAGS },
  'tags-zh': { path: TAGS, language: 'zh-CN' },
  members: { path: '/ui/projects/platform/members' },
  'members-zh': { path: '/ui/projects/platform/members', language: 'zh-CN' },
  artifact: { path: `${TAGS}/2.14.3` },
  repository: { path: TAGS.replace(/tags$/, 'info') },
  robot: { path: '/ui/projects/platform/robots', first: permissions },
  audit: { path: '/ui/audit', first: search },
  'audit-zh': { path: '/ui/audit', language: 'zh-CN', theme: 'dark' },
  settings: { path: '/ui/admin/settings/ldap' },
  'settings-zh': { path: '/ui/admin/settings', language: 'zh-CN' },
  activity: { path: '/ui/activity' },
  gc: { path: '/ui/admin/gc' },
};

function search(page) {
  return page.getByRole('button', { name: 'Search by field' }).click();
}

async function permissions(page) {
  await page.getByRole('button', { name: 'New robot' }).click();
  await dialog(page).getByLabel('Name').fill('ci');
  await dialog(page).getByRole('button', { name: 'Next' }).click();
  await dialog(page).getByRole('button', { name: 'Push and pull' }).click();
}

let browser;
before(async () => {
  if (!WANTED) return;
  await seed();
  await seedContent();
  const labels = [
    ['production', '#3c9a46'],
    ['qa', '#2f80ed'],
  ];
  const { project_id } = JSON.parse((await must('GET', '/api/v2.0/projects/platform')).text);
  for (const [name, color] of labels)
    await must('POST', '/api/v2.0/labels', { body: { name, color, scope: 'p', project_id } });
  const made = JSON.parse((await must('GET', `/api/v2.0/labels?scope=p&project_id=${project_id}`)).text);
  const id = made.find(({ name }) => name === 'production').id;
  await must('POST', '/api/v2.0/projects/platform/repositories/edge-proxy/artifacts/2.14.3/labels', {
    body: { id },
  });
  for (const as of ['dev', 'guest', 'nobody'])
    for (const tag of ['2.14.3', 'nightly-1'])
      await call('GET', `/v2/${REPOSITORY}/manifests/${tag}`, { as: [as, 'Quay-crane-7'] });
  browser = await launch();
});
after(() => browser?.close());

for (const [file, { path, theme = 'light', language = 'en', first }] of Object.entries(PICTURES)) {
  test(`picture ${file}`, { skip: !WANTED && 'UI_PICTURES=1 takes them' }, async () => {
    const { context, page } = await visit(browser, { as: 'admin', theme, language, scale: SCALE });
    await open(page, path);
    await first?.(page);
    await settled(page);
    await page.screenshot({ path: `${FOLDER}${file}.png`, animations: 'disabled' });
    await context.close();
  });
}
