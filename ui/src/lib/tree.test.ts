import { expect, test } from 'vitest';
import { treeOf } from './tree';

const names = (paths: string[]) => treeOf(paths, (path) => path);

test('folders count all that is below them', () => {
  const root = names(['a/x', 'a/b/y', 'z']);
  expect(root.count).toBe(3);
  expect(root.leaves.map((leaf) => leaf.name)).toEqual(['z']);
  expect(root.folders.map(({ name, count }) => [name, count])).toEqual([['a', 2]]);
  expect(root.folders[0]?.folders[0]?.leaves[0]?.item).toBe('a/b/y');
});

test('a chain of folders is one', () => {
  const [folder] = names(['a/b/c/x', 'a/b/c/y']).folders;
  expect(folder).toMatchObject({ name: 'a/b/c', path: 'a/b/c', count: 2, folders: [] });
});

test('a name may be a repository and a folder', () => {
  const root = names(['a', 'a/b']);
  expect(root.leaves.map((leaf) => leaf.name)).toEqual(['a']);
  expect(root.folders.map((folder) => folder.name)).toEqual(['a']);
});
