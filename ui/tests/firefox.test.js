// The pages that are opened most, in Firefox: signing in, projects, tags.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { credentials, PAGES } from './lib/browser.js';
import { seed, seedContent } from './lib/registry.js';

let browser;
before(async () => {
  await seed();
  await seedContent();
  browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    acceptInsecureCerts: true,
  });
});
after(() => browser?.close());

test('signing in, projects and tags in Firefox', async () => {
  const page = await browser.newPage();
  const faults = [];
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('response', (answer) => {
    if (answer.status() >= 400) faults.push(`status: ${answer.status()} ${answer.url()}`);
  });
  const [name, password] = credentials('dev');
  await page.goto(`${PAGES}/ui/login?redirect_url=%2Fui%2Fprojects`);
  await (await page.waitForSelector('[name=principal]')).type(name);
  await (await page.waitForSelector('[name=password]')).type(password);
  await page.keyboard.press('Enter');
  const project = await page.waitForSelector('.row-link[href="/ui/projects/platform"]');
  await project.click();
  const repository = await page.waitForSelector('.row-link[href$="/edge-proxy/-/tags"]');
  await repository.click();
  await page.waitForSelector('.row-link[href$="/-/tags/2.14.3"]');
  // A menu is placed by script where the browser cannot do it by CSS.
  await (await page.waitForSelector('[aria-label="More actions for 2.14.3"]')).click();
  const menu = await page.waitForSelector('.menu:popover-open');
  const box = await menu.boundingBox();
  const { width, height } = await page.evaluate(() => ({ width: innerWidth, height: innerHeight }));
  assert.ok(box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height, JSON.stringify(box));
  await page.keyboard.press('Escape');
  await (await page.waitForSelector('.row-link[href$="/-/tags/2.14.3"]')).click();
  await page.waitForFunction(() => /docker pull \S+edge-proxy:2\.14\.3/.test(document.body.innerText));
  assert.deepEqual(faults, []);
});
