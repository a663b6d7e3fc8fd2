// What tests do on every page.

/** The dialog that is open. */
export const dialog = (page) => page.locator('dialog[open]');

/** Waits for a note at the edge of the page. */
export const toast = (page, text) => page.locator('.toast', { hasText: text }).first().waitFor();

/** Opens the further acts of a row and takes one. */
export async function act(page, row, command) {
  await page.getByRole('button', { name: `More actions for ${row}`, exact: true }).click();
  await page.getByRole('menuitem', { name: command, exact: true }).click();
}

/** The texts of the first column that leads somewhere. */
export const names = (page) => page.locator('tbody .row-link').allTextContents();

/** A name that no earlier run of the tests used. */
export const fresh = (name) => `${name}-${Date.now().toString(36)}`;
