/** The names of kinds of work. */

/** `GARBAGE_COLLECTION` as people read it; the server's names are stable, and new ones need no translation. */
export function jobName(type: string): string {
  const words = type.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
