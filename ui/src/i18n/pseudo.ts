/** Makes the pseudo-language of the English texts: accents, and a third longer. */
type Message = string | Partial<Record<Intl.LDMLPluralRule, string>>;

const ACCENTS: Record<string, string> = {
  a: 'á',
  c: 'ç',
  e: 'é',
  i: 'í',
  n: 'ñ',
  o: 'ó',
  s: 'š',
  u: 'ú',
  y: 'ý',
  z: 'ž',
  A: 'Á',
  C: 'Ç',
  E: 'É',
  I: 'Í',
  N: 'Ñ',
  O: 'Ó',
  S: 'Š',
  U: 'Ú',
  Y: 'Ý',
  Z: 'Ž',
};

/** The same messages in the pseudo-language. */
export function pseudo(catalogue: Record<string, Message>): Record<string, Message> {
  const change = (message: Message): Message =>
    typeof message === 'string'
      ? accent(message)
      : Object.fromEntries(Object.entries(message).map(([rule, text]) => [rule, accent(text ?? '')]));
  return Object.fromEntries(Object.entries(catalogue).map(([key, message]) => [key, change(message)]));
}

/** One text; arguments in braces and commands stay as they are. */
export function accent(text: string): string {
  const parts = text.split(/(\{\w+\})/);
  const changed = parts.map((part) =>
    part.startsWith('{') ? part : part.replace(/[A-Za-z]/g, (c) => ACCENTS[c] ?? c),
  );
  return `[${changed.join('')}${'·'.repeat(Math.ceil(text.length / 3))}]`;
}
