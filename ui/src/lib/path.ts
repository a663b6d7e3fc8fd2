/** Patterns of paths: `/projects/:project/repositories/*repository/-/:tab`. `:name` is a segment, `*name` one or more. */
export type Params = Record<string, string>;

/** The parameters of a path that fits a pattern, decoded; else `undefined`. */
export function match(pattern: string, path: string): Params | undefined {
  const names: string[] = [];
  const source = pattern
    .split('/')
    .map((part) => {
      if (part.startsWith(':')) return (names.push(part.slice(1)), '([^/]+)');
      if (part.startsWith('*')) return (names.push(part.slice(1)), '(.+?)');
      return part.replace(/[.\-+]/g, '\\$&');
    })
    .join('/');
  const found = new RegExp(`^${source}/?$`).exec(path);
  if (!found) return undefined;
  try {
    return Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(found[at + 1] ?? '')]));
  } catch {
    return undefined;
  }
}

/** A path below `/ui` from segments; slashes inside a segment stay, all else is encoded. */
export function link(...segments: string[]): string {
  return (
    '/ui' + segments.map((segment) => '/' + segment.split('/').map(encodeURIComponent).join('/')).join('')
  );
}

/** `target` if it is a path of this origin's pages, or was one of Harbor's portal; else the home page. */
export function safeReturn(target: string | null): string {
  if (target?.startsWith('/harbor/')) return safeReturn(`/ui${target}`);
  const local = target !== null && /^\/ui(\/|$)/.test(target) && !/[\\\s]/.test(target);
  return local ? target : '/ui/';
}
