/** Words for a shell. */

/** A word as it has to be typed: in quotes if it holds anything but letters, digits and a few signs. */
export function quoted(word: string): string {
  return /^[\w.@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
