/** A policy as its form holds it, and as the server does. */
import type { Filter, Policy, Trigger, WantedPolicy } from '../../lib/api/replication';

export interface Draft {
  name: string;
  description: string;
  /** From here to the other registry; else from there to here. */
  push: boolean;
  /** The other registry; 0 while none is chosen. */
  registry: number;
  /** Patterns; the empty text fits all, or leaves nothing out. */
  repositories: string;
  tags: string;
  tagsExcept: string;
  /** Names, with commas between them. */
  labels: string;
  labelsExcept: string;
  /** Filters that the form has no field for: they stay. */
  others: Filter[];
  namespace: string;
  levels: number;
  trigger: Trigger;
  cron: string;
  deletion: boolean;
  override: boolean;
  enabled: boolean;
  speed: string;
  chunks: boolean;
  single: boolean;
}

/** Which registry of a policy is the other one, and whether it is copied to. */
export function otherOf(policy: Policy): { push: boolean; registry: Policy['src_registry'] } {
  const push = !policy.src_registry?.id;
  return { push, registry: push ? policy.dest_registry : policy.src_registry };
}

/** The form of a policy, or of a new one. */
export function draftOf(policy: Policy | undefined): Draft {
  const filters = [...(policy?.filters ?? [])];
  const take = (type: string, excludes = false) => {
    const fits = (filter: Filter) => filter.type === type && (filter.decoration === 'excludes') === excludes;
    const at = filters.findIndex(fits);
    const taken = at < 0 ? undefined : filters.splice(at, 1)[0];
    return [taken?.value ?? ''].flat().join(', ');
  };
  const { push, registry } = policy ? otherOf(policy) : { push: true, registry: undefined };
  return {
    name: policy?.name ?? '',
    description: policy?.description ?? '',
    push,
    registry: registry?.id ?? 0,
    repositories: take('name'),
    tags: take('tag'),
    tagsExcept: take('tag', true),
    labels: take('label'),
    labelsExcept: take('label', true),
    others: filters,
    namespace: policy?.dest_namespace ?? '',
    levels: policy?.dest_namespace_replace_count ?? (policy ? -1 : 0),
    trigger: policy?.trigger?.type ?? 'manual',
    cron: policy?.trigger?.trigger_settings?.cron ?? '',
    deletion: policy?.deletion ?? false,
    override: policy ? (policy.override ?? false) : true,
    enabled: policy ? (policy.enabled ?? false) : true,
    speed: policy?.speed && policy.speed > 0 ? String(policy.speed) : '',
    chunks: policy?.copy_by_chunk ?? false,
    single: policy?.single_active_replication ?? false,
  };
}

/** Names between commas. */
export const namesOf = (labels: string) =>
  labels
    .split(/[,，]/)
    .map((name) => name.trim())
    .filter(Boolean);

export function onWire(draft: Draft): WantedPolicy {
  const other = { id: draft.registry };
  return {
    name: draft.name.trim(),
    description: draft.description.trim(),
    src_registry: draft.push ? null : other,
    dest_registry: draft.push ? other : null,
    dest_namespace: draft.namespace.trim(),
    dest_namespace_replace_count: draft.levels,
    filters: filtersOf(draft),
    trigger: {
      type: draft.trigger,
      trigger_settings: draft.trigger === 'scheduled' ? { cron: draft.cron.trim() } : {},
    },
    deletion: draft.deletion,
    override: draft.override,
    enabled: draft.enabled,
    speed: Number(draft.speed) || 0,
    copy_by_chunk: draft.chunks,
    single_active_replication: draft.single && draft.trigger !== 'event_based',
  };
}

/** A stored policy as it is sent back, with all that no form has. */
export function asStored({ src_registry, dest_registry, ...rest }: Policy): WantedPolicy {
  const of = (registry: Policy['src_registry']) => (registry ? { id: registry.id } : null);
  return { ...rest, src_registry: of(src_registry), dest_registry: of(dest_registry) };
}

function filtersOf(draft: Draft): Filter[] {
  const pattern = (type: string, value: string, decoration?: string): Filter[] =>
    value.trim() ? [{ type, value: value.trim(), decoration }] : [];
  const labels = (names: string[], decoration: string): Filter[] =>
    names.length > 0 ? [{ type: 'label', value: names, decoration }] : [];
  return [
    ...pattern('name', draft.repositories),
    ...pattern('tag', draft.tags, 'matches'),
    ...pattern('tag', draft.tagsExcept, 'excludes'),
    ...labels(namesOf(draft.labels), 'matches'),
    ...labels(namesOf(draft.labelsExcept), 'excludes'),
    ...draft.others,
  ];
}

/** Where a repository is copied to; nothing if it has fewer levels than the namespace takes the place of. */
export function targetPath(path: string, namespace: string, levels: number): string | undefined {
  const place = namespace.trim();
  if (place === '') return path;
  const parts = path.split('/');
  const folders = parts.length - 1;
  if (levels > folders) return undefined;
  return [place, ...parts.slice(levels < 0 ? folders : levels)].join('/');
}
