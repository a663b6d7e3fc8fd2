/** Labels: names with a colour that artifacts carry; a project's own, and those of the whole installation. */
import { send } from '../client';
import { type Listing, listing, type Page } from './list';

export interface Label {
  id: number;
  name: string;
  description?: string;
  color: string;
  scope: 'g' | 'p';
  project_id?: number;
  creation_time: string;
  update_time: string;
}

const LABELS = '/api/v2.0/labels';

/** Whose labels: a project's by its id, or the installation's. */
export type Owner = number | undefined;

const scopeOf = (owner: Owner) => (owner === undefined ? { scope: 'g' } : { scope: 'p', project_id: owner });

export async function listLabels(owner: Owner, of: Listing, signal: AbortSignal): Promise<Page<Label>> {
  const query = { ...listing(of), ...scopeOf(owner) };
  const { body, total } = await send<Label[]>('GET', LABELS, { query, signal });
  return { rows: body, total };
}

export type Wording = Pick<Label, 'name' | 'color'> & { description: string };

export async function createLabel(owner: Owner, label: Wording): Promise<void> {
  await send('POST', LABELS, { json: { ...label, ...scopeOf(owner) } });
}

export async function updateLabel(of: Label, label: Wording): Promise<void> {
  const { id, scope, project_id } = of;
  await send('PUT', `${LABELS}/${id}`, { json: { ...label, id, scope, project_id } });
}

export async function deleteLabel(id: number): Promise<void> {
  await send('DELETE', `${LABELS}/${id}`);
}
