/** Texts in the reader's language. One JSON file per language, loaded on demand; `t` reads what is loaded. */
import type { Messages } from './messages';

export type Key = keyof Messages;
/** A key whose message takes no arguments. */
export type PlainKey = { [K in Key]: Messages[K] extends null ? K : never }[Key];
/** The arguments after the key: none, or one object. */
export type Args<K extends Key> = Messages[K] extends null ? [] : [Messages[K]];
type Message = string | Partial<Record<Intl.LDMLPluralRule, string>>;
type Catalogue = Record<string, Message>;

const files = import.meta.glob<Catalogue>('./*.json', { import: 'default' });

/** The tags of all languages, English first. */
export const LANGUAGES = Object.keys(files)
  .map((path) => path.slice(2, -5))
  .sort();

/** A made-up language, longer and accented: what stays readable in it is not translated. */
export const PSEUDO = 'en-XA';

interface Loaded {
  tag: string;
  catalogue: Catalogue;
  plurals: Intl.PluralRules;
}

let current = $state.raw<Loaded>({
  tag: 'en',
  catalogue: {},
  plurals: new Intl.PluralRules('en'),
});

/** The language of the page, as a BCP 47 tag for `Intl`. */
export function locale(): string {
  return current.tag === PSEUDO ? 'en' : current.tag;
}

/** The tag chosen, which may be the pseudo-language. */
export function language(): string {
  return current.tag;
}

/** The text of a key in the current language. */
export function t<K extends Key>(key: K, ...args: Args<K>): string {
  const message = current.catalogue[key];
  const values = (args[0] ?? {}) as Record<string, string | number>;
  if (message === undefined) return key;
  return fill(form(message, values.count), values);
}

function form(message: Message, count: string | number | undefined): string {
  if (typeof message === 'string') return message;
  const rule = current.plurals.select(Number(count));
  return message[rule] ?? message.other ?? '';
}

function fill(text: string, values: Record<string, string | number>): string {
  // Stars are what makes words strong: those of a value must not. What stands behind each is not seen.
  const plain = (value: string) => (text.includes('**') ? value.replaceAll('*', '*\u2060') : value);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? new Intl.NumberFormat(locale()).format(value) : plain(value);
  });
}

/** Loads a language and shows it. */
export async function speak(tag: string): Promise<void> {
  const known = tag === PSEUDO || LANGUAGES.includes(tag) ? tag : 'en';
  const load = files[`./${known === PSEUDO ? 'en' : known}.json`];
  if (!load) return;
  let catalogue = await load();
  if (known === PSEUDO) catalogue = (await import('./pseudo')).pseudo(catalogue);
  current = { tag: known, catalogue, plurals: new Intl.PluralRules(known === PSEUDO ? 'en' : known) };
  document.documentElement.lang = locale();
}

/** The best of our languages for those that a browser names, most wanted first. */
export function choose(wanted: readonly string[], saved: string | undefined): string {
  if (saved && (saved === PSEUDO || LANGUAGES.includes(saved))) return saved;
  for (const tag of wanted) {
    const base = tag.split('-')[0];
    const found = LANGUAGES.find((own) => own === tag) ?? LANGUAGES.find((own) => own.split('-')[0] === base);
    if (found) return found;
  }
  return 'en';
}

/** A language's own name. Chinese is told apart by its script. */
export function languageName(tag: string): string {
  const { language, script } = new Intl.Locale(tag).maximize();
  const named = language === 'zh' ? `${language}-${script}` : language;
  return new Intl.DisplayNames([tag], { type: 'language' }).of(named) ?? tag;
}
