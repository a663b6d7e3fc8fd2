/** What robots may be given: pairs of resource and action, and the usual choices among them. */
import type { Permission } from './api/types';

/** A pair as a text: `repository:pull`. */
export type Pair = string;

export const pair = ({ resource, action }: Permission): Pair => `${resource}:${action}`;

export function permission(of: Pair): Permission {
  const [resource = '', action = ''] = of.split(':');
  return { resource, action };
}

/** Whether what is given is not the same in all projects. */
export function differsBySpace(grants: { access: Permission[] }[]): boolean {
  const texts = grants.map(({ access }) => access.map(pair).sort().join());
  return new Set(texts).size > 1;
}

/** The columns of the matrix, each with the actions that it stands for. */
export const COLUMNS = [
  { id: 'read', actions: ['read', 'pull'] },
  { id: 'list', actions: ['list'] },
  { id: 'create', actions: ['create', 'push'] },
  { id: 'update', actions: ['update', 'operate'] },
  { id: 'delete', actions: ['delete'] },
  { id: 'stop', actions: ['stop'] },
] as const;

/** Resources that are content; the others are about the project. */
const CONTENT = [
  'repository',
  'artifact',
  'artifact-addition',
  'artifact-label',
  'tag',
  'accessory',
  'scan',
  'sbom',
];

export interface Row {
  resource: string;
  /** By column: the pairs that its box stands for. */
  cells: Pair[][];
}

/** The rows of the matrix: content first. */
export function rowsOf(catalogue: Permission[]): { content: Row[]; others: Row[] } {
  const resources = [...new Set(catalogue.map(({ resource }) => resource))];
  const row = (resource: string): Row => ({
    resource,
    cells: COLUMNS.map(({ actions }) =>
      catalogue
        .filter((one) => one.resource === resource && (actions as readonly string[]).includes(one.action))
        .map(pair),
    ),
  });
  const content = CONTENT.filter((resource) => resources.includes(resource));
  const others = resources.filter((resource) => !content.includes(resource)).sort();
  return { content: content.map(row), others: others.map(row) };
}

const PULL = [
  'repository:pull',
  'repository:read',
  'repository:list',
  'artifact:read',
  'artifact:list',
  'tag:list',
];
const PUSH = [...PULL, 'repository:push', 'artifact:create', 'tag:create'];

/** Usual choices; what the catalogue does not have is left out. */
export const PRESETS = {
  pull: PULL,
  push: PUSH,
  ci: [
    ...PUSH,
    'artifact-label:create',
    'scan:create',
    'scan:read',
    'accessory:list',
    'artifact-addition:read',
  ],
} as const;
export type Preset = keyof typeof PRESETS;

export function preset(which: Preset | 'full' | 'none', catalogue: Permission[]): Pair[] {
  const all = catalogue.map(pair);
  if (which === 'full') return all;
  if (which === 'none') return [];
  return all.filter((one) => (PRESETS[which] as readonly string[]).includes(one));
}
