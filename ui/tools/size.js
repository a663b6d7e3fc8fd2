// Compares the built files with their budgets, in bytes of gzip.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const KB = 1000;
const BUDGET = {
  all: 300 * KB,
  first: 110 * KB,
  route: 15 * KB,
  library: 20 * KB,
  language: 25 * KB,
  icons: 6 * KB,
};

const dist = fileURLToPath(new URL('../../ui-dist/', import.meta.url));
const sprite = ['Sprite.svelte', 'strokes.ts'].map((name) => new URL(`../src/kit/${name}`, import.meta.url));
const size = (path) => gzipSync(readFileSync(dist + path), { level: 9 }).length;
const plain = readdirSync(`${dist}assets`).filter((name) => !/\.(br|gz)$/.test(name));
const assets = plain.map((name) => ({ name, bytes: size(`assets/${name}`) }));
const others = ['index.html', 'theme.js', 'favicon.svg'].map((name) => ({ name, bytes: size(name) }));
const sum = (files) => files.reduce((total, { bytes }) => total + bytes, 0);

const isLanguage = ({ name }) => /^[a-z]{2}(-[A-Z]{2})?-[\w-]{8}\.js$/.test(name);
/** What the first page brings whichever it is. */
const index = readFileSync(`${dist}index.html`, 'utf8');
const isShared = ({ name }) => index.includes(`/assets/${name}"`);
/** What few pages need, and comes when they do. */
const isLibrary = ({ name }) => /^marked-/.test(name);
const routes = assets.filter(
  (file) => ![isLanguage, isShared, isLibrary].some((is) => is(file)) && file.name.endsWith('.js'),
);
const languages = assets.filter(isLanguage);
const largest = (files) => files.reduce((a, b) => (b.bytes > a.bytes ? b : a));
const entry = [...others, ...assets.filter(isShared)];

const measures = [
  ['all files', sum([...assets, ...others]), BUDGET.all],
  ['first view', sum(entry) + largest(languages).bytes + largest(routes).bytes, BUDGET.first],
  [`largest page, ${largest(routes).name}`, largest(routes).bytes, BUDGET.route],
  ['marked', sum(assets.filter(isLibrary)), BUDGET.library],
  [`largest language, ${largest(languages).name}`, largest(languages).bytes, BUDGET.language],
  ['icons', gzipSync(Buffer.concat(sprite.map((path) => readFileSync(path)))).length, BUDGET.icons],
];
for (const [name, bytes, budget] of measures) {
  const over = bytes > budget;
  console.log(`${over ? 'OVER ' : ''}${name}: ${(bytes / KB).toFixed(1)} of ${budget / KB} kB`);
  if (over) process.exitCode = 1;
}
if (assets.some(({ name }) => name.endsWith('.map'))) {
  console.error('source maps are not shipped');
  process.exitCode = 1;
}
