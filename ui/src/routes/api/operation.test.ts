import { expect, test } from 'vitest';
import type { Document } from '../../lib/api/reference';
import { curl, filled, operationsOf, queryOf } from './operation';

const document: Document = {
  paths: {
    '/api/v2.0/projects/{project_name}/repositories/{repository_name}': {
      get: {
        tags: ['repository'],
        description: 'Returns a repository.',
        parameters: [
          { name: 'project_name', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'repository_name', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'q', in: 'query', schema: { type: ['string', 'null'] } },
        ],
        responses: { 200: { description: 'The repository.' } },
      },
    },
    '/api/v2.0/projects': {
      parameters: {},
      post: {
        tags: ['project'],
        requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/New' } } } },
      },
    },
  },
  components: {
    schemas: {
      New: {
        type: 'object',
        properties: {
          name: { type: ['string', 'null'] },
          limit: { type: 'integer' },
          again: { oneOf: [{ type: 'null' }, { $ref: '#/components/schemas/New' }] },
        },
      },
    },
  },
};
const [create, get] = operationsOf(document);

test('operations are sorted by what they are about, and have bodies', () => {
  expect([create?.method, get?.method]).toEqual(['POST', 'GET']);
  expect(JSON.parse(create?.body ?? '')).toMatchObject({ name: '', limit: 0, again: { name: '' } });
});

test('parameters go where they belong', () => {
  if (!get || !create) throw new Error('no operations');
  const values = { project_name: 'p', repository_name: 'a/b', q: 'name=~x' };
  expect(filled(get, values)).toBe('/api/v2.0/projects/p/repositories/a%252Fb');
  expect(filled(get, {})).toContain('{project_name}');
  expect(queryOf(get, values)).toEqual({ q: 'name=~x' });
  expect(curl(get, 'https://r.example', 'robot$x', values)).toBe(
    "curl -u 'robot$x' 'https://r.example/api/v2.0/projects/p/repositories/a%252Fb?q=name%3D%7Ex'",
  );
  expect(curl(create, 'https://r.example', undefined, {})).toContain('-X POST');
});
