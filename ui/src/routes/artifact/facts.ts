/** What a configuration says of its artifact, as rows of a list. What is not there is left out. */
import type { PlainKey } from '../../i18n/index.svelte';
import type { Artifact } from '../../lib/api/artifact';
import { isNever } from '../../lib/format';
import { platformName } from '../../lib/platform';

export interface Fact {
  text: PlainKey;
  value: string;
  mono?: boolean;
  time?: boolean;
}

export function factsOf(artifact: Artifact): Fact[] {
  const attrs = artifact.extra_attrs ?? {};
  const config = isRecord(attrs.config) ? attrs.config : {};
  const created = textOf(attrs.created);
  const platform = platformName({ os: textOf(attrs.os), architecture: textOf(attrs.architecture) });
  const all: Fact[] = [
    { text: 'artifact.type', value: artifact.type },
    { text: 'artifact.mediaType', value: artifact.manifest_media_type, mono: true },
    { text: 'artifact.platform', value: artifact.references?.length ? '' : platform },
    { text: 'artifact.created', value: isNever(created) ? '' : created, time: true },
    { text: 'artifact.author', value: textOf(attrs.author) },
    { text: 'artifact.chart', value: artifact.type === 'CHART' ? textOf(attrs.name) : '' },
    { text: 'artifact.version', value: artifact.type === 'CHART' ? textOf(attrs.version) : '' },
    { text: 'artifact.appVersion', value: textOf(attrs.appVersion) },
    { text: 'artifact.description', value: textOf(attrs.description) },
    { text: 'artifact.entrypoint', value: wordsOf(config.Entrypoint), mono: true },
    { text: 'artifact.command', value: wordsOf(config.Cmd), mono: true },
    { text: 'artifact.workdir', value: textOf(config.WorkingDir), mono: true },
    { text: 'artifact.user', value: textOf(config.User) },
    {
      text: 'artifact.ports',
      value: isRecord(config.ExposedPorts) ? Object.keys(config.ExposedPorts).join(', ') : '',
    },
    { text: 'artifact.environment', value: wordsOf(config.Env, '\n'), mono: true },
  ];
  return all.filter(({ value }) => value !== '');
}

/** Artifacts come from anyone: nothing in a configuration is sure to be what it should be. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function wordsOf(value: unknown, between = ' '): string {
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string').join(between) : '';
}
