/** What of the shell is open. */
export const shell = $state({
  /** The navigation, as a drawer on narrow screens. */
  drawer: false,
  palette: false,
  shortcuts: false,
});
