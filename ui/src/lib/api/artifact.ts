/** Artifacts of a repository: images, indexes, charts and whatever else was pushed. */
import { send } from '../client';
import type { Label } from './label';
import { type Listing, listing, type Page } from './list';
import { encoded, repositoryAt } from './repository';
import { BY_NAME } from './project';

export interface Platform {
  architecture?: string;
  os?: string;
  variant?: string;
}

export interface Tag {
  id: number;
  name: string;
  push_time: string;
  pull_time: string;
  immutable: boolean;
}

/** A part of an index. */
export interface Child {
  child_digest: string;
  platform?: Platform | null;
  annotations?: Record<string, string> | null;
}

export interface Accessory {
  id: number;
  digest: string;
  type: string;
  size: number;
  creation_time: string;
}

export interface Artifact {
  id: number;
  digest: string;
  type: string;
  media_type: string;
  manifest_media_type: string;
  artifact_type?: string;
  size: number;
  push_time: string;
  pull_time: string;
  tags: Tag[] | null;
  labels: Label[] | null;
  references: Child[] | null;
  accessories?: Accessory[] | null;
  annotations?: Record<string, string> | null;
  extra_attrs?: Record<string, unknown> | null;
  addition_links?: Record<string, { href: string; absolute: boolean }> | null;
}

/** A step of an image's making. */
export interface Step {
  created?: string;
  created_by?: string;
  comment?: string;
  empty_layer?: boolean;
}

/** A chart that a chart needs. */
export interface Dependency {
  name: string;
  version: string;
  repository: string;
}

const of = (project: string, name: string) => `${repositoryAt(project, name)}/artifacts`;
const at = (project: string, name: string, reference: string) =>
  `${of(project, name)}/${encodeURIComponent(reference)}`;
const ALL = { with_tag: true, with_label: true, with_immutable_status: true, with_accessory: true };

export async function listArtifacts(
  project: string,
  name: string,
  page: Listing,
  signal: AbortSignal,
): Promise<Page<Artifact>> {
  const options = { query: { ...listing(page), ...ALL }, headers: BY_NAME, signal };
  const { body, total } = await send<Artifact[]>('GET', of(project, name), options);
  return { rows: body, total };
}

/** An artifact by tag or digest. */
export async function getArtifact(
  project: string,
  name: string,
  reference: string,
  signal: AbortSignal,
): Promise<Artifact> {
  const options = { query: ALL, headers: BY_NAME, signal };
  return (await send<Artifact>('GET', at(project, name, reference), options)).body;
}

/** Deletes an artifact with all its tags. */
export async function deleteArtifact(project: string, name: string, digest: string): Promise<void> {
  await send('DELETE', at(project, name, digest), { headers: BY_NAME });
}

/** Copies an artifact with its tags and accessories; `from` is its name with digest or tag. */
export async function copyArtifact(project: string, name: string, from: string): Promise<void> {
  await send('POST', of(project, name), { query: { from }, headers: BY_NAME });
}

export async function listAccessories(
  project: string,
  name: string,
  digest: string,
  page: Listing,
  signal: AbortSignal,
): Promise<Page<Accessory>> {
  const options = { query: listing(page), headers: BY_NAME, signal };
  const { body, total } = await send<Accessory[]>('GET', `${at(project, name, digest)}/accessories`, options);
  return { rows: body, total };
}

/** One of the texts or lists that a kind of artifact has: `build_history`, `values.yaml`, `readme.md`, … */
export async function addition<T>(
  project: string,
  name: string,
  digest: string,
  which: string,
  signal: AbortSignal,
): Promise<T> {
  const path = `${at(project, name, digest)}/additions/${encodeURIComponent(which)}`;
  return (await send<T>('GET', path, { headers: BY_NAME, signal })).body;
}

export async function createTag(project: string, name: string, digest: string, tag: string): Promise<void> {
  await send('POST', `${at(project, name, digest)}/tags`, { json: { name: tag }, headers: BY_NAME });
}

/** Takes a tag off; the artifact stays. */
export async function deleteTag(project: string, name: string, digest: string, tag: string): Promise<void> {
  await send('DELETE', `${at(project, name, digest)}/tags/${encodeURIComponent(tag)}`, { headers: BY_NAME });
}

export async function addLabel(project: string, name: string, digest: string, label: number): Promise<void> {
  await send('POST', `${at(project, name, digest)}/labels`, { json: { id: label }, headers: BY_NAME });
}

export async function removeLabel(
  project: string,
  name: string,
  digest: string,
  label: number,
): Promise<void> {
  await send('DELETE', `${at(project, name, digest)}/labels/${label}`, { headers: BY_NAME });
}

/** Where our own operations on a repository's tags are. */
export const tagsAt = (project: string, name: string) =>
  `/api/ext/v1/projects/${encodeURIComponent(project)}/repositories/${encoded(name)}/tags`;
