/** Harbor's objects as pages use them, from the server's own schema. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type SystemInfo = Schemas['GeneralInfo'];
export type Health = Schemas['Health'];
export type User = Schemas['User'];
export type Project = Schemas['Project'];
export type Summary = Schemas['Summary'];
export type Repository = Schemas['Repository'];
export type Member = Schemas['ProjectMember'];
export type Quota = Schemas['Quota'];
export type Found = Schemas['Found'];
export type Permission = Schemas['Permission'];

/** A project's settings: texts by name, `"true"` and `"false"` among them. */
export type Metadata = Record<string, string>;
