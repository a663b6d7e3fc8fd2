/** Messages with strong words: `Rich` shows them. */

/** The text alone, for names of parts. */
export function plain(text: string): string {
  return text.replaceAll('**', '').replaceAll('\u2060', '');
}
