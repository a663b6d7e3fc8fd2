// What sources say of messages: which keys stand in them in quotes, and which are put together there of a start, an
// expression and perhaps an end.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../src/', import.meta.url));
const folder = join(root, 'i18n');

/** Where the types of all messages are. */
export const TYPES = join(folder, 'messages.ts');

/** The messages of a language by their keys. */
export const read = (tag) => JSON.parse(readFileSync(join(folder, `${tag}.json`), 'utf8'));

/** The tags of all languages. */
export const tags = () =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.replace('.json', ''));

function texts(path) {
  return readdirSync(path).flatMap((name) => {
    const full = join(path, name);
    if (statSync(full).isDirectory()) return texts(full);
    return /\.(svelte|ts)$/.test(name) && full !== TYPES ? [readFileSync(full, 'utf8')] : [];
  });
}

/** Tells keys that stand in quotes from those that are put together, and from those that no source uses. */
export function sources() {
  const all = texts(root).join('\n');
  const made = [...all.matchAll(/`([\w.]+\.)\$\{[^}]*\}([\w.]*)`/g)].map(([, start, end]) => ({
    start,
    end,
  }));
  const isMade = (key) => made.some(({ start, end }) => key.startsWith(start) && key.endsWith(end));
  return { isMade, isUsed: (key) => isMade(key) || all.includes(`'${key}'`) };
}

/**
 * Puts numbers in the place of the keys that stand in quotes, in what is built: a language is then a list of texts, and
 * a third smaller. Keys that are put together keep their names.
 */
export function numbers() {
  let [places, named] = [new Map(), []];
  return {
    name: 'numbers-for-keys',
    apply: 'build',
    enforce: 'post',
    buildStart() {
      const { isMade } = sources();
      const keys = Object.keys(read('en'));
      places = new Map(keys.filter((key) => !isMade(key)).map((key, at) => [key, at]));
      named = keys.filter(isMade);
    },
    transform(code, id) {
      const tag = /\/src\/i18n\/([\w-]+)\.json$/.exec(id)?.[1];
      if (tag) return { code: list(read(tag), places, named), map: null };
      if (!/\/src\/.*\.(svelte|ts)$/.test(id)) return null;
      const numbered = code.replace(
        /(['"`])(\w+(?:\.[\w-]+)+)\1/g,
        (whole, _, key) => places.get(key) ?? whole,
      );
      return { code: numbered, map: null };
    },
  };
}

/** A language as a list, with what keeps its name beside it. */
function list(messages, places, named) {
  const texts = [...places.keys()].map((key) => messages[key]);
  const others = Object.fromEntries(named.map((key) => [key, messages[key]]));
  return `export default Object.assign(${JSON.stringify(texts)}, ${JSON.stringify(others)});`;
}
