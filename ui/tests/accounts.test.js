// Accounts that people make for themselves, forgotten passwords, and the settings of mails that both need.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shoot, violations, visit } from './lib/browser.js';
import { startMail } from './lib/mail.js';
import { fresh, toast } from './lib/page.js';
import { must, seed } from './lib/registry.js';

const PASSWORD = 'Quay-crane-8';
const NEXT = 'Quay-crane-9';
let browser;
let mail;
before(async () => {
  await seed();
  browser = await launch();
  mail = await startMail();
});
after(async () => {
  const none = { smtp_host: '', smtp_from: '', external_url: '', self_registration: false };
  await must('PUT', '/api/v2.0/configurations', { body: none });
  mail.stop();
  await browser?.close();
});

const link = (text) => /\/ui\/\w+#[0-9a-f]{64}/.exec(text)[0];

test('nothing leads to an account or a new password where it is not possible', async () => {
  const { context, page, faults } = await visit(browser);
  await open(page, '/ui/login');
  assert.equal(await page.locator('.gate-links a').count(), 0);
  await open(page, '/ui/sign-up');
  await page.getByText('People cannot make accounts for themselves here.').waitFor();
  for (const path of ['/ui/reset', '/ui/verify', '/ui/reset#0']) {
    await page.goto('about:blank');
    await open(page, path);
    await page.getByText('This link does not work any more.').waitFor();
    faults.push(...(await violations(page)));
  }
  assert.deepEqual(faults, []);
  await context.close();
});

test('mail is set up and tried out, and then people register and set forgotten passwords', async () => {
  const admin = await visit(browser, { as: 'admin' });
  await open(admin.page, '/ui/admin/settings/mail');
  const field = (name) => admin.page.getByLabel(name, { exact: true });
  await field('Address of this registry').fill('https://registry.example');
  await field('Mail server').fill('127.0.0.1');
  await field('Port').fill(String(mail.port));
  await field('Encryption').selectOption('none');
  await field('Sender').fill('gantry@registry.example');
  await admin.page.getByLabel('People may make accounts for themselves').check();
  await admin.page.getByLabel('Send a test mail to').fill('ops@northquay.example');
  assert.ok(await admin.page.getByRole('button', { name: 'Send a test mail' }).isDisabled(), 'not saved yet');
  await admin.page.getByRole('button', { name: 'Save' }).click();
  await toast(admin.page, 'Saved');
  await admin.page.getByLabel('Send a test mail to').fill('ops@northquay.example');
  await admin.page.getByRole('button', { name: 'Send a test mail' }).click();
  await admin.page.getByText('Sending: works').waitFor();
  assert.match(await mail.next(), /Subject: Gantry sends mails/);
  admin.faults.push(...(await violations(admin.page)));
  await shoot(admin.page, 'settings.mail');
  assert.deepEqual(admin.faults, []);
  await admin.context.close();

  const name = fresh('newcomer');
  const { context, page, faults } = await visit(browser);
  await open(page, '/ui/login');
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.fill('[name=username]', 'dev');
  await page.fill('[name=realname]', 'New Comer');
  await page.getByText('An account has this name already.').waitFor();
  await page.fill('[name=username]', 'no,comma');
  await page.keyboard.press('Tab');
  await page.locator('.field-error').waitFor();
  assert.equal(await page.getByText('An account has this name already.').count(), 0);
  // The question fails: that is said, and is no reason to refuse the name.
  await page.route('**/c/userExists*', (route) =>
    route.fulfill({ status: 500, json: { errors: [{ code: 'UNKNOWN', message: 'no' }] } }),
  );
  await page.fill('[name=username]', 'somebody');
  await page.keyboard.press('Tab');
  await page.getByText('Whether it is free cannot be said at the moment.').waitFor();
  assert.equal(await page.locator('.field-error').count(), 0);
  await page.unroute('**/c/userExists*');
  await page.fill('[name=username]', 'dev');
  await page.fill('[name=realname]', 'New Comer');
  await page.getByText('An account has this name already.').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'sign-up.taken');
  await page.fill('[name=username]', name);
  await page.fill('[name=email]', `${name}@northquay.example`);
  await page.fill('[name=password]', PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByText('A mail is on its way to').waitFor();
  await shoot(page, 'sign-up.mailed');
  const welcome = link(await mail.next());
  const signIn = async (password) => {
    await open(page, '/ui/login');
    await page.fill('[name=principal]', name);
    await page.fill('[name=password]', password);
    await page.keyboard.press('Enter');
  };
  await signIn(PASSWORD);
  await page.getByText('Your mail address is not verified yet.').waitFor();
  await open(page, welcome);
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText('Your mail address is verified.').waitFor();
  faults.push(...(await violations(page)));
  await signIn(PASSWORD);
  await page.waitForURL('**/ui/');
  await context.close();

  const other = await visit(browser, { language: 'zh-CN' });
  await open(other.page, '/ui/login');
  await other.page.getByRole('link', { name: '忘记密码？' }).click();
  await other.page.fill('[name=email]', `${name}@northquay.example`);
  await other.page.getByRole('button', { name: '发送链接' }).click();
  await other.page.getByText('邮件已在发送途中').waitFor();
  const forgotten = await mail.next();
  const decoded = Buffer.from(forgotten.split('\n\n').slice(1).join(''), 'base64').toString();
  const reset = link(/\/ui\/reset#/.test(forgotten) ? forgotten : decoded);
  await open(other.page, reset);
  await other.page.fill('[name=password]', NEXT);
  await other.page.fill('[name=again]', NEXT);
  other.faults.push(...(await violations(other.page)));
  await shoot(other.page, 'reset.zh');
  await other.page.getByRole('button', { name: '更改密码' }).click();
  await other.page.getByText('密码已设置').waitFor();
  await other.page.goto('about:blank');
  await open(other.page, reset);
  await other.page.fill('[name=password]', NEXT);
  await other.page.fill('[name=again]', NEXT);
  await other.page.keyboard.press('Enter');
  await other.page.getByText('此链接已失效').waitFor();
  await other.context.close();
  // What the server refused is a failed request to the browser, and nothing else may have gone wrong.
  const refused = (fault) => /\b(400|412|401)\b|userExists/.test(fault);
  assert.deepEqual(
    [...faults, ...other.faults].filter((fault) => !refused(fault)),
    [],
  );
});

test('another address waits for its link, which takes the password, and says what is wrong with it', async () => {
  await must('PUT', '/api/v2.0/configurations', {
    body: {
      external_url: 'https://registry.example',
      smtp_host: '127.0.0.1',
      smtp_port: mail.port,
      smtp_tls: 'none',
      smtp_from: 'gantry@registry.example',
    },
  });
  const name = fresh('mover');
  const body = {
    username: name,
    realname: name,
    email: `${name}@northquay.example`,
    password: 'Quay-crane-7',
  };
  await must('POST', '/api/v2.0/users', { body });
  const { context, page, faults } = await visit(browser, { as: name, language: 'zh-CN' });
  await open(page, '/ui/me/profile');
  await page.getByLabel('邮箱地址').fill(`${name}@elsewhere.example`);
  await page.getByRole('button', { name: '保存' }).click();
  await page.getByText('尚未验证').waitFor();
  faults.push(...(await violations(page)));
  await shoot(page, 'profile.unverified.zh');
  /** What was mailed, in whatever form. */
  const read = (text) =>
    text + Buffer.from(text.split('\n\n').slice(1).join('').replace(/\s/g, ''), 'base64').toString();
  const mails = [read(await mail.next()), read(await mail.next())];
  const verify = mails.find((text) => text.includes('/ui/verify#'));
  assert.match(verify, /\p{Script=Han}/u, 'in the language of the page');
  await page.getByRole('button', { name: '重新发送链接' }).click();
  await toast(page, '链接已发往');
  assert.match(read(await mail.next()), /\/ui\/verify#/);

  await open(page, link(verify));
  await page.getByRole('button', { name: '验证' }).click();
  const password = page.locator('[name=password]');
  await password.waitFor();
  await page.getByRole('button', { name: '验证' }).click();
  await page.getByText('此项必填。').waitFor();
  await password.fill('Quay-crane-0');
  await page.getByRole('button', { name: '验证' }).click();
  await page.getByText('当前密码错误。').waitFor();
  faults.push(...(await violations(page)));
  await password.fill('Quay-crane-7');
  await page.getByRole('button', { name: '验证' }).click();
  await page.getByText('邮箱地址已验证').waitFor();
  await open(page, '/ui/me/profile');
  assert.equal(await page.getByText('尚未验证').count(), 0);
  assert.deepEqual(
    faults.filter((fault) => !/\b(403|412)\b/.test(fault)),
    [],
  );
  await context.close();
});
