// Makes src/i18n/messages.ts (the type of every message) from en.json. With --check it also compares the languages:
// same keys, same arguments, nothing left in English, no key that no source uses.
import { readFileSync, writeFileSync } from 'node:fs';
import { read, sources, tags, TYPES } from './messages.js';

const english = read('en');

/** The arguments of a message, sorted; a message with plural forms always has `count`. */
function argumentsOf(message) {
  const texts = typeof message === 'string' ? [message] : Object.values(message);
  const found = new Set(texts.flatMap((text) => [...text.matchAll(/\{(\w+)\}/g)].map((hit) => hit[1])));
  if (typeof message !== 'string') found.add('count');
  return [...found].sort();
}

function typeOf(message) {
  const names = argumentsOf(message);
  const field = (name) => `${name}: ${name === 'count' ? 'number' : 'string | number'}`;
  return names.length === 0 ? 'null' : `{ ${names.map(field).join('; ')} }`;
}

const lines = Object.entries(english).map(([key, message]) => `  '${key}': ${typeOf(message)};`);
const types = `// Made of en.json by \`npm run i18n\`: the arguments of every message.
export interface Messages {
${lines.join('\n')}
}
`;

if (!process.argv.includes('--check')) {
  writeFileSync(TYPES, types);
} else {
  const faults = [];
  if (readFileSync(TYPES, 'utf8') !== types) faults.push('messages.ts is not up to date: npm run i18n');
  for (const tag of tags().filter((tag) => tag !== 'en')) compare(tag, faults);
  unused(faults);
  for (const fault of faults) console.error(fault);
  process.exit(faults.length === 0 ? 0 : 1);
}

/** Names that are the same in every language. */
function untranslated(key) {
  return /^(app\.name|language\.)/.test(key);
}

function compare(tag, faults) {
  const other = read(tag);
  for (const key of Object.keys(english)) if (!(key in other)) faults.push(`${tag}: ${key} is missing`);
  for (const [key, message] of Object.entries(other)) {
    if (!(key in english)) {
      faults.push(`${tag}: ${key} is not in en.json`);
    } else if (String(argumentsOf(message)) !== String(argumentsOf(english[key]))) {
      faults.push(`${tag}: ${key} has other arguments than in en.json`);
    }
    const text = typeof message === 'string' ? message : Object.values(message).join('');
    const words = text.replace(/\{\w+\}/g, '');
    if (
      tag.startsWith('zh') &&
      !untranslated(key) &&
      /[A-Za-z]/.test(words) &&
      !/\p{Script=Han}/u.test(text)
    ) {
      faults.push(`${tag}: ${key} is not translated`);
    }
    if (tag.startsWith('zh') && /\p{Script=Han}[,;:!?]/u.test(text)) {
      faults.push(`${tag}: ${key} has punctuation of half width`);
    }
  }
}

function unused(faults) {
  const { isUsed } = sources();
  for (const key of Object.keys(english)) if (!isUsed(key)) faults.push(`en: ${key} is used nowhere`);
}
