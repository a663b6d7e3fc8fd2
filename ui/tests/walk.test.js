// What somebody new does without reading anything: each step by what the page offers, counted in clicks.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, PAGES, shoot, visit } from './lib/browser.js';
import { dialog, fresh } from './lib/page.js';
import { must, PASSWORD, seed } from './lib/registry.js';

/** Clicks that all of it may take; what is typed, and the Enter key behind it, are none. */
const CLICKS = 20;
const folder = mkdtempSync(join(tmpdir(), 'gantry-walk-'));
const at = (name) => join(folder, name);
const env = { ...process.env, DOCKER_HOST: `unix://${at('docker.sock')}`, DOCKER_CONFIG: at('config') };
let browser;
let daemon;

/** Runs what a page showed, as a shell does; what it prints. */
function shell(script, input) {
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', script], { env, input, encoding: 'utf8' });
  assert.equal(status, 0, `${script}: ${stderr}`);
  return stdout;
}

before(async () => {
  await seed();
  browser = await launch();
  // A daemon of its own, that leaves the machine's network as it is. It trusts what is on this machine.
  const words = ['--iptables=false', '--ip6tables=false', '--bridge=none', '--host', env.DOCKER_HOST];
  for (const name of ['data-root', 'exec-root', 'pidfile']) words.push(`--${name}`, at(name));
  daemon = spawn('dockerd', words, { stdio: 'ignore' });
  for (let tries = 0; spawnSync('docker', ['info'], { env }).status !== 0; tries += 1) {
    assert.ok(tries < 300 && daemon.exitCode === null, 'dockerd does not start');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});
after(async () => {
  await browser?.close();
  if (daemon && daemon.exitCode === null) {
    daemon.kill('SIGTERM');
    await new Promise((resolve) => daemon.once('exit', resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

test('from signing in to who pulled what', async () => {
  const name = fresh('walk');
  const account = { username: fresh('newcomer'), realname: 'New Comer', comment: '', password: PASSWORD };
  await must('POST', '/api/v2.0/users', {
    body: { ...account, email: `${account.username}@northquay.example` },
  });
  const { context, page, faults } = await visit(browser);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  let clicks = 0;
  const click = async (where) => {
    await where.click();
    clicks += 1;
  };
  const button = (words) => page.getByRole('button', { name: words, exact: true });
  const leads = (words) => page.getByRole('link', { name: words, exact: true });

  await page.goto(`${PAGES}/ui/`);
  await click(page.locator('.header').getByRole('link', { name: 'Sign in' }));
  await page.fill('[name=principal]', account.username);
  await page.fill('[name=password]', account.password);
  await page.keyboard.press('Enter');

  await click(leads('New project'));
  await dialog(page).getByLabel('Name').fill(name);
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/ui/projects/${name}`);

  // The empty project shows what pushes, which is copied as a whole and does what it says.
  await click(page.locator('main').getByRole('button', { name: /^Copy/ }));
  const commands = (await copied()).split('\n');
  assert.equal(commands.length, 3, commands.join('\n'));
  const [login, tag, pushes] = commands;
  shell(`tar cf - -C /etc hostname | docker import - app:1.0`);
  shell(`${login} --password-stdin`, account.password);
  shell(`${tag}\n${pushes}`);
  // It appears by itself.
  await leads('app').waitFor({ timeout: 20_000 });
  await shoot(page, 'walk.pushed');

  await click(leads('Members'));
  await click(button('Add a member'));
  await dialog(page).getByRole('combobox', { name: 'User name' }).fill('dev');
  await click(dialog(page).getByRole('button', { name: 'Add a member' }));
  await page.getByLabel('Role of dev').waitFor();

  await click(leads('Robots'));
  await click(button('New robot'));
  await dialog(page).getByLabel('Name').fill('ci');
  await click(dialog(page).getByRole('button', { name: 'Next' }));
  await click(dialog(page).getByRole('button', { name: 'Pull', exact: true }));
  await click(dialog(page).getByRole('button', { name: 'Next' }));
  await click(dialog(page).getByRole('button', { name: 'Create robot' }));
  await dialog(page).getByText('only now').waitFor();
  await click(dialog(page).locator('.code').getByRole('button', { name: /^Copy/ }));
  const robot = await copied();
  await click(dialog(page).getByRole('button', { name: 'I have kept the secret' }));
  shell(robot);

  // With the command that the page has for pulling, as the robot.
  await click(leads('Repositories'));
  await click(leads('app'));
  await page.getByRole('link', { name: '1.0', exact: true }).hover();
  await click(button('Copy the command that pulls 1.0'));
  shell(await copied());

  await click(leads('Audit').first());
  await page.getByText(`${name}/app`, { exact: false }).first().waitFor();
  const pulls = page.locator('tbody tr', { hasText: 'Pull' }).filter({ hasText: `${name}+ci` });
  await pulls.first().waitFor();
  await shoot(page, 'walk.pulled');
  console.log(`${clicks} clicks`);
  assert.ok(clicks <= CLICKS, `${clicks} clicks`);
  assert.deepEqual(faults, []);
  await context.close();
});
