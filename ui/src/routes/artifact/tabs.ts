/** The tabs of an artifact: those that it has something for. */
import type { PlainKey } from '../../i18n/index.svelte';
import type { Artifact } from '../../lib/api/artifact';

export interface Tab {
  id: string;
  text: PlainKey;
  count?: number;
}

/** Tabs of what the server has for some kinds of artifacts only, by its name there. */
const ADDITIONS: Record<string, Tab> = {
  build_history: { id: 'build', text: 'artifact.build' },
  'readme.md': { id: 'readme', text: 'artifact.readme' },
  'values.yaml': { id: 'values', text: 'artifact.values' },
  dependencies: { id: 'dependencies', text: 'artifact.dependencies' },
  license: { id: 'license', text: 'artifact.license' },
  files: { id: 'files', text: 'artifact.files' },
};

/** `byTag`: the address names a tag, which has a history. */
export function tabsOf(artifact: Artifact, byTag: boolean): Tab[] {
  const links = Object.keys(artifact.addition_links ?? {});
  const accessories = artifact.accessories?.length ?? 0;
  return [
    { id: 'overview', text: 'artifact.overview' },
    { id: 'tags', text: 'tags.title', count: artifact.tags?.length ?? 0 },
    ...(byTag ? [{ id: 'history', text: 'tags.history' } as const] : []),
    ...Object.entries(ADDITIONS)
      .filter(([name]) => links.includes(name))
      .map(([, tab]) => tab),
    ...(accessories > 0
      ? [{ id: 'accessories', text: 'accessories.title', count: accessories } as const]
      : []),
  ];
}

/** The server's name of what a tab shows. */
export function textOf(tab: string): string {
  return Object.entries(ADDITIONS).find(([, { id }]) => id === tab)?.[0] ?? tab;
}
