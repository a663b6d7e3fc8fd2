/** Operations of the API as a page shows them, made of the server's own document. */
import type { Described, Document, Parameter, Schema } from '../../lib/api/reference';
import { encoded } from '../../lib/api/repository';
import { quoted } from '../../lib/shell-word';

export interface Operation {
  method: string;
  path: string;
  tag: string;
  text: string;
  parameters: Parameter[];
  /** A body as JSON, with a value of the right kind for each field. */
  body: string | undefined;
  answers: { status: string; text: string }[];
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete'];
/** Objects in objects, beyond which a sample says no more. */
const DEEPEST = 4;

/** All operations, by what they are about. */
export function operationsOf(document: Document): Operation[] {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, described]) => operation(document, method, path, described)),
  );
  return all.sort((a, b) => a.tag.localeCompare(b.tag));
}

function operation(document: Document, method: string, path: string, described: Described): Operation {
  const schema = described.requestBody?.content?.['application/json']?.schema;
  return {
    method: method.toUpperCase(),
    path,
    tag: described.tags?.[0] ?? '',
    text: described.summary ?? described.description ?? '',
    parameters: described.parameters ?? [],
    body: schema && JSON.stringify(sample(document, schema, 0), undefined, 2),
    answers: Object.entries(described.responses ?? {}).map(([status, { description = '' }]) => ({
      status,
      text: description,
    })),
  };
}

function sample(document: Document, schema: Schema, depth: number): unknown {
  const named = schema.$ref?.split('/').pop();
  if (named) return sample(document, document.components?.schemas?.[named] ?? {}, depth + 1);
  const [choice] = (schema.oneOf ?? schema.allOf ?? []).filter((one) => one.type !== 'null');
  if (choice) return sample(document, choice, depth);
  switch ([schema.type].flat().find((type) => type !== 'null')) {
    case 'string':
      return '';
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'array':
      return schema.items && depth < DEEPEST ? [sample(document, schema.items, depth + 1)] : [];
    default:
      return Object.fromEntries(
        Object.entries(depth < DEEPEST ? (schema.properties ?? {}) : {}).map(([name, of]) => [
          name,
          sample(document, of, depth + 1),
        ]),
      );
  }
}

/** The type of a parameter in a word. */
export function typeOf({ schema }: Parameter): string {
  return [schema?.type]
    .flat()
    .filter((type) => type && type !== 'null')
    .join(' ');
}

/** The path with its parameters filled in; what is not given stays as it is named. */
export function filled({ path }: Operation, values: Record<string, string>): string {
  return path.replace(/\{(\w+)\}/g, (whole, name: string) =>
    values[name] ? inPath(name, values[name]) : whole,
  );
}

/** A repository's name is encoded twice, so that its slashes are not taken for those of the path. */
function inPath(name: string, value: string): string {
  return name === 'repository_name' ? encoded(value) : encodeURIComponent(value);
}

/** What of the values goes into the query. */
export function queryOf(of: Operation, values: Record<string, string>): Record<string, string> {
  const names = of.parameters.filter((one) => one.in === 'query').map(({ name }) => name);
  return Object.fromEntries(names.flatMap((name) => (values[name] ? [[name, values[name]]] : [])));
}

/** The operation as a command; curl asks for the password. */
export function curl(
  of: Operation,
  origin: string,
  user: string | undefined,
  values: Record<string, string>,
): string {
  const query = new URLSearchParams(queryOf(of, values)).toString();
  const address = origin + filled(of, values) + (query ? `?${query}` : '');
  const words = [
    'curl',
    ...(user ? ['-u', quoted(user)] : []),
    ...(of.method === 'GET' ? [] : of.method === 'HEAD' ? ['-I'] : ['-X', of.method]),
    ...(of.body
      ? ['-H', quoted('Content-Type: application/json'), '-d', quoted(JSON.stringify(JSON.parse(of.body)))]
      : []),
    quoted(address),
  ];
  return words.join(' ');
}
