// What a view may cost: requests, and the time to its first picture on a slow machine.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, PAGES, settled, visit } from './lib/browser.js';
import { seed } from './lib/registry.js';

/** Calls of the API for a view, once the page has begun. */
const CALLS = 4;
/** Milliseconds to the first picture, with the processor slowed four times. */
const FIRST_PAINT = 1000;
const VIEWS = [
  '/ui/projects',
  '/ui/projects/platform/repositories',
  '/ui/projects/platform/repositories/tools/lint/-/tags',
  '/ui/projects/platform/repositories/tools/lint/-/tags/1.0',
  '/ui/projects/base-images/members',
  '/ui/projects/platform/robots',
  '/ui/projects/platform/audit',
  '/ui/projects/edge/summary',
  '/ui/projects/charts/settings',
  '/ui/admin/users',
  '/ui/admin/quotas',
  '/ui/admin/health',
  '/ui/admin/registries',
  '/ui/admin/replication',
  '/ui/projects/platform/retention',
  '/ui/projects/platform/webhooks',
  '/ui/admin/gc',
  '/ui/admin/jobs',
  '/ui/audit',
  '/ui/activity',
  '/ui/me/profile',
  '/ui/',
];

let browser;
before(async () => {
  await seed();
  browser = await launch();
});
after(() => browser?.close());

test('a view asks the server at most four times', async () => {
  const { context, page } = await visit(browser, { as: 'admin' });
  await open(page, '/ui/about');
  let calls = [];
  page.on('request', (request) => {
    // What is looked at by the clock has nothing to do with the view.
    const byClock = request.headers()['x-harbor-no-session-renewal'];
    if (request.url().includes('/api/') && !byClock) calls.push(request.url());
  });
  for (const path of VIEWS) {
    calls = [];
    await page.evaluate((href) => {
      const link = Object.assign(document.createElement('a'), { href });
      document.body.append(link);
      link.click();
      link.remove();
    }, path);
    await settled(page);
    assert.ok(calls.length <= CALLS, `${path}: ${calls.join(' ')}`);
  }
  await context.close();
});

for (const path of ['/ui/login', '/ui/projects']) {
  test(`${path} is seen within a second on a slow machine`, async () => {
    const times = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const { context, page } = await visit(browser);
      const session = await context.newCDPSession(page);
      await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
      await page.goto(`${PAGES}${path}`);
      await page.waitForSelector('h1');
      const paint = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
      times.push(await page.waitForFunction(paint).then((handle) => handle.jsonValue()));
      await context.close();
    }
    // Other work on the machine only ever adds.
    assert.ok(Math.min(...times) <= FIRST_PAINT, `${times.map(Math.round).join(', ')} ms`);
  });
}
