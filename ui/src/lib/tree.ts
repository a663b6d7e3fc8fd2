/** Repositories as a tree of their paths. */
export interface Folder<T> {
  /** The whole path from the top, without a slash at its end. */
  path: string;
  name: string;
  folders: Folder<T>[];
  leaves: { name: string; item: T }[];
  /** All items below, at any depth. */
  count: number;
}

/** Builds the tree of items by path; folders and leaves keep the order of the items. A chain of folders is one. */
export function treeOf<T>(items: T[], pathOf: (item: T) => string): Folder<T> {
  const root: Folder<T> = { path: '', name: '', folders: [], leaves: [], count: 0 };
  for (const item of items) {
    const parts = pathOf(item).split('/');
    const leaf = parts.pop() ?? '';
    let folder = root;
    folder.count += 1;
    for (const part of parts) {
      folder = child(folder, part);
      folder.count += 1;
    }
    folder.leaves.push({ name: leaf, item });
  }
  root.folders = root.folders.map(joined);
  return root;
}

/** A folder that holds nothing but one folder is shown as one with it. */
function joined<T>(folder: Folder<T>): Folder<T> {
  const [only, ...others] = folder.folders;
  if (only && others.length === 0 && folder.leaves.length === 0) {
    return joined({ ...only, name: `${folder.name}/${only.name}` });
  }
  return { ...folder, folders: folder.folders.map(joined) };
}

function child<T>(parent: Folder<T>, name: string): Folder<T> {
  const found = parent.folders.find((folder) => folder.name === name);
  if (found) return found;
  const path = parent.path ? `${parent.path}/${name}` : name;
  const made: Folder<T> = { path, name, folders: [], leaves: [], count: 0 };
  parent.folders.push(made);
  return made;
}
