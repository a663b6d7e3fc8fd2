// A browser on the pages, and what must be true of every page in it.
import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { ADMIN, PASSWORD, session } from './registry.js';

/** Where the pages are: the server itself, or `npm run preview` in front of it. */
export const PAGES = process.env.UI_URL ?? 'http://127.0.0.1:4173';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const OUT = fileURLToPath(new URL('../out/', import.meta.url));
mkdirSync(OUT, { recursive: true });

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--force-color-profile=srgb'],
  });

const KEY = /^(?:[a-z]+[A-Z]?[A-Za-z]*\.)+[a-zA-Z]+$/;

/** Opens a context as an account (`undefined` for nobody), with what the page says and fails collected in `faults`. */
export async function visit(browser, { as, theme = 'light', language = 'en', width = 1280, scale = 1 } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width < 500 ? 740 : 800 },
    deviceScaleFactor: scale,
    colorScheme: theme,
    locale: 'en-GB',
    timezoneId: 'UTC',
    hasTouch: width < 500,
    reducedMotion: 'reduce',
    ignoreHTTPSErrors: true,
    bypassCSP: false,
  });
  await context.addInitScript((chosen) => {
    // A blank page keeps nothing.
    if (location.protocol === 'about:') return;
    if (!localStorage.getItem('gantry')) localStorage.setItem('gantry', JSON.stringify({ language: chosen }));
  }, language);
  if (as) await enter(context, as);
  context.on('page', watch);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      faults.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText;
    // A request that a newer one made needless is aborted by the page itself.
    if (reason !== 'net::ERR_ABORTED') faults.push(`failed: ${request.url()} ${reason}`);
  });
  page.on('response', (answer) => {
    if (answer.status() >= 400)
      faults.push(`status: ${answer.status()} ${answer.request().method()} ${answer.url()}`);
  });
  return { context, page, faults };
}

/** Credentials of an account of the seed, or those that are given. */
export const credentials = (as) => (Array.isArray(as) ? as : as === 'admin' ? ADMIN : [as, PASSWORD]);

/** Signs in, without the page that does it. */
async function enter(context, as) {
  const cookies = await session(credentials(as));
  await context.addCookies(cookies.map(({ name, value }) => ({ name, value, url: PAGES, httpOnly: true })));
}

/** Opens a path and waits until nothing loads any more. */
export async function open(page, path) {
  await page.goto(`${PAGES}${path}`);
  await settled(page);
}

/** Milliseconds without a request after which a page stands still. */
const QUIET = 100;
const STEP = 20;
/** The requests of each page that have no answer yet, and how many there were. */
const traffic = new WeakMap();

function watch(page) {
  const seen = { waiting: new Set(), count: 0 };
  traffic.set(page, seen);
  page.on('request', (request) => {
    seen.count += 1;
    seen.waiting.add(request);
  });
  for (const end of ['requestfinished', 'requestfailed'])
    page.on(end, (request) => seen.waiting.delete(request));
}

/** Waits until a page stands still: what it does has ended, and nothing was asked for a while. */
export async function settled(page) {
  await page.waitForSelector('h1');
  const seen = traffic.get(page);
  let before;
  do {
    for (let quiet = 0; quiet < QUIET; quiet += STEP) {
      await page.waitForTimeout(STEP);
      if (seen.waiting.size > 0) quiet = 0;
    }
    before = seen.count;
    // Behind what the page does at the moment, which may ask for more.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  } while (seen.count !== before);
}

/** What every page must keep: no axe violation, no key in place of a text, no sideways scroll, one h1. */
export async function violations(page) {
  const faults = [];
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE);
  const results = await page.evaluate(() =>
    globalThis.axe.run(document, {
      resultTypes: ['violations'],
      // Nothing of it is used by these rules, and it asks for every sheet of styles again.
      preload: false,
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }),
  );
  for (const { id, nodes } of results.violations) {
    for (const node of nodes)
      faults.push(`axe ${id}: ${node.target.join(' ')} ${node.failureSummary?.split('\n')[1] ?? ''}`);
  }
  const texts = await page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode.textContent.trim());
    return found;
  });
  for (const text of texts)
    if (KEY.test(text) && !/^(org|com|io)\.|\.(example|json|crt|io)$/.test(text)) faults.push(`key: ${text}`);
  const size = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    innerWidth,
    document.querySelectorAll('h1').length,
  ]);
  if (size[0] > size[1]) faults.push(`scrolls sideways: ${size[0]} > ${size[1]}`);
  if (size[2] !== 1) faults.push(`${size[2]} h1`);
  return faults;
}

/** Keeps a picture in `tests/out`: of what is in view, or of the whole page. */
export const shoot = (page, name, { whole = false } = {}) =>
  page.screenshot({ path: `${OUT}${name}.png`, animations: 'disabled', fullPage: whole });
