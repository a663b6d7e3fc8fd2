/** Where the reader is: path and query of the address, and going elsewhere without loading the page anew. */
interface Place {
  /** Below `/ui`, beginning with `/`. */
  path: string;
  query: URLSearchParams;
}

function here(): Place {
  const path = location.pathname.replace(/^\/ui(?=\/|$)/, '') || '/';
  return { path, query: new URLSearchParams(location.search) };
}

let place = $state.raw<Place>(here());
/** Asks before a page with unsaved changes is left; returns whether to go. */
let guard: (() => Promise<boolean>) | undefined;

export const router = {
  get path() {
    return place.path;
  },
  get query() {
    return place.query;
  },
  /** The address as it stands in a link, for coming back to it. */
  get address() {
    const query = place.query.toString();
    return `/ui${place.path}${query ? `?${query}` : ''}`;
  },
};

/** Goes to an address below `/ui`. */
export async function go(href: string, options: { replace?: boolean } = {}): Promise<void> {
  if (guard && new URL(href, location.href).pathname !== location.pathname && !(await guard())) return;
  history[options.replace ? 'replaceState' : 'pushState'](null, '', href);
  place = here();
  if (!options.replace) scrollTo(0, 0);
}

/** Changes some parameters of the query; `undefined` and the empty text remove one. */
export function setQuery(changes: Record<string, string | undefined>, replace = false): void {
  const query = new URLSearchParams(place.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history[replace ? 'replaceState' : 'pushState'](null, '', location.pathname + (text ? `?${text}` : ''));
  place = here();
}

/** Sets what is asked before the page is left; the result takes it away again. */
export function guardLeaving(ask: () => Promise<boolean>): () => void {
  guard = ask;
  return () => {
    if (guard === ask) guard = undefined;
  };
}

/** Follows links below `/ui` and the browser's back and forward without loading the page anew. */
export function startRouter(): void {
  addEventListener('popstate', () => void back());
  addEventListener('beforeunload', (event) => {
    if (guard) event.preventDefault();
  });
  document.addEventListener('click', (event) => {
    const href = followed(event);
    if (href === undefined) return;
    event.preventDefault();
    void go(href);
  });
}

async function back(): Promise<void> {
  const previous = router.address;
  if (guard && !(await guard())) history.pushState(null, '', previous);
  else place = here();
}

/** The address of a plain click on a link to one of our pages. */
function followed(event: MouseEvent): string | undefined {
  if (event.defaultPrevented || event.button !== 0) return undefined;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return undefined;
  const anchor = (event.target as Element).closest?.('a');
  if (!anchor?.href || anchor.target || anchor.hasAttribute('download')) return undefined;
  const url = new URL(anchor.href);
  if (url.origin !== location.origin || !/^\/ui(\/|$)/.test(url.pathname)) return undefined;
  if (url.hash && url.pathname === location.pathname) return undefined;
  return url.pathname + url.search;
}
