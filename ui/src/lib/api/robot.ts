/** Robots: accounts for machines, with a secret and a list of what they may do. */
import { send } from '../client';
import { type Listing, listing, type Page } from './list';
import type { Permission } from './types';

/** What a robot may do in a project (`*` for all) or, with `/`, in the installation. */
export interface Grant {
  kind: 'project' | 'system';
  namespace: string;
  access: Permission[];
}

export interface Robot {
  id: number;
  /** With prefix and project. */
  name: string;
  description?: string;
  level: 'system' | 'project';
  /** Days; -1 for ever. */
  duration: number;
  /** Seconds since 1970; -1 for never. */
  expires_at: number;
  disable: boolean;
  editable: boolean;
  permissions: Grant[];
  creation_time: string;
  last_used_at?: string | null;
  last_used_address?: string | null;
  /** The secret before the present one, while it works too. */
  previous_secret?: { expires_at: string; uses: number; last_used_at?: string | null } | null;
}

export interface NewRobot {
  name: string;
  description: string;
  level: Robot['level'];
  duration: number;
  permissions: Grant[];
}

/** A robot's name with the secret that is shown once. */
export interface Secret {
  name: string;
  secret: string;
}

/** All that robots may be given; `system` only for system administrators. */
export interface Catalogue {
  system?: Permission[];
  project: Permission[];
}

const ROBOTS = '/api/v2.0/robots';

/** A part of a robot's name as lists are narrowed by it: without prefix and project, which are shown before it. */
export function ownPart(text: string): string {
  return text.slice(Math.max(text.lastIndexOf('$'), text.lastIndexOf('+')) + 1);
}

/** Robots of a project, or of the installation. `q`: further conditions. */
export async function listRobots(
  project: number | undefined,
  of: Listing,
  signal: AbortSignal,
): Promise<Page<Robot>> {
  const level = project === undefined ? undefined : `Level=project,ProjectID=${project}`;
  const q = [level, of.q].filter(Boolean).join(',') || undefined;
  const { body, total } = await send<Robot[]>('GET', ROBOTS, { query: listing({ ...of, q }), signal });
  return { rows: body, total };
}

export async function createRobot(robot: NewRobot): Promise<Secret> {
  return (await send<Secret>('POST', ROBOTS, { json: { ...robot, disable: false } })).body;
}

/** Changes what may be changed of a robot; the name stays. */
export async function updateRobot(robot: Robot): Promise<void> {
  await send('PUT', `${ROBOTS}/${robot.id}`, { json: robot });
}

/** Gives a robot a new secret; the old one works too for so many days. */
export async function rotateSecret(robot: Robot, graceDays: number): Promise<Secret> {
  const json = { grace_days: graceDays };
  const { body } = await send<{ secret: string }>('PATCH', `${ROBOTS}/${robot.id}`, { json });
  return { name: robot.name, secret: body.secret };
}

export async function deleteRobot(id: number): Promise<void> {
  await send('DELETE', `${ROBOTS}/${id}`);
}

export async function catalogue(signal: AbortSignal): Promise<Catalogue> {
  return (await send<Catalogue>('GET', '/api/v2.0/permissions', { signal })).body;
}
