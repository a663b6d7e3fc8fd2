/** The server's description of its own API, and trying an operation of it. */
import { type Options, send } from '../client';

export interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  oneOf?: Schema[];
  allOf?: Schema[];
  description?: string;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

export interface Described {
  operationId?: string;
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
  responses?: Record<string, { description?: string }>;
}

export interface Document {
  paths: Record<string, Record<string, Described>>;
  components?: { schemas?: Record<string, Schema> };
}

export async function apiDocument(signal: AbortSignal): Promise<Document> {
  return (await send<Document>('GET', '/api/openapi.json', { signal })).body;
}

/** Reads what is at a path of the API, as the session that the reader has. */
export async function read(path: string, query: Options['query']): Promise<unknown> {
  return (await send<unknown>('GET', path, { query })).body;
}
