// Runs the tests of the pages, one file after the other: all of them, or the part that is named. `alone` are those that
// measure time, for which nothing else may run. The others are two halves, for which there can be a server each: `pages`
// are those below, `flows` all others.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

const ALONE = ['budget', 'scale'];
const PAGES = [
  'dialogs',
  'faults',
  'firefox',
  'habits',
  'hostile',
  'own',
  'pages',
  'pictures',
  'restart',
  'walk',
];

const names = readdirSync('tests')
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => file.replace('.test.js', ''));
const parts = {
  alone: ALONE,
  pages: PAGES,
  flows: names.filter((name) => ![...ALONE, ...PAGES].includes(name)),
  undefined: names,
};
const wanted = parts[process.argv[2]];
if (!wanted) {
  console.error(`${process.argv[2]} is none of alone, pages and flows`);
  process.exit(2);
}
const missing = wanted.filter((name) => !names.includes(name));
if (missing.length) {
  console.error(`tests/ has no ${missing.join(', ')}`);
  process.exit(1);
}
const files = wanted.map((name) => `tests/${name}.test.js`);
const tests = spawn(process.execPath, ['--test', '--test-reporter=tap', '--test-concurrency=1', ...files], {
  stdio: ['inherit', 'pipe', 'inherit'],
});
let said = '';
tests.stdout.setEncoding('utf8').on('data', (text) => {
  said += text;
  process.stdout.write(text);
});
tests.on('close', (status) => {
  // Once more at the end, which is what is kept of a long run.
  for (const [, name, rest] of said.matchAll(/^ *not ok \d+ - (.*)\n([^]*?)^ *\.\.\.$/gm)) {
    const error = rest.match(/^ *error: (?:\|-\n)?(.*)/m)?.[1] ?? '';
    console.log(`FAILED ${name}: ${error.trim().slice(0, 300)}`);
  }
  process.exit(status ?? 1);
});
