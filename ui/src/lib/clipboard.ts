/** Copies a text; whether it worked. Where there is no clipboard, `shown` is selected for the reader to copy. */
export async function copy(text: string, shown?: Node): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (shown) getSelection()?.selectAllChildren(shown);
    return false;
  }
}
