// The server restarts under an open page: the page says so, keeps what was typed, and goes on by itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch } from './lib/browser.js';

/** A server of its own, which this test may stop. */
const BINARY = process.env.GANTRY_BIN;

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts the server and waits until it is ready; the result stops it. */
async function serve(port, metrics, data) {
  const words = [
    'serve',
    '--listen',
    `127.0.0.1:${port}`,
    '--metrics-listen',
    `127.0.0.1:${metrics}`,
    '--data',
    data,
  ];
  // Variables that begin with GANTRY_ are its settings; those of the tests are none.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GANTRY_')));
  const child = spawn(BINARY, words, { stdio: 'ignore', env });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const ready = await fetch(`http://127.0.0.1:${metrics}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ready) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
  };
}

test('a restart', { skip: !BINARY && 'needs GANTRY_BIN', timeout: 120_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'gantry-ui-'));
  const [port, metrics] = [await freePort(), await freePort()];
  let stop = await serve(port, metrics, data);
  const browser = await launch();
  try {
    const page = await browser.newPage({ ignoreHTTPSErrors: true, locale: 'en-GB' });
    page.setDefaultTimeout(20_000);
    await page.goto(`https://127.0.0.1:${port}/ui/projects`);
    await page.getByRole('link', { name: 'library' }).waitFor();
    await stop();
    await page.locator('[data-filter]').fill('lib');
    await page.getByText('Cannot reach the registry').waitFor();
    assert.equal(await page.locator('[data-filter]').inputValue(), 'lib');
    assert.equal(await page.getByRole('link', { name: 'library' }).count(), 1);
    stop = await serve(port, metrics, data);
    await page.getByText('Cannot reach the registry').waitFor({ state: 'detached', timeout: 60_000 });
    await page.getByText('1–1 of 1').waitFor();
  } finally {
    await browser.close();
    await stop();
    rmSync(data, { recursive: true });
  }
});
