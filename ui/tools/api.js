// Makes src/lib/api/schema.ts from the OpenAPI document of a server: npm run api -- https://127.0.0.1:8443
// A file's path does as well. The types are of what the server sends and takes; nothing of it is in the build.
import { readFileSync, writeFileSync } from 'node:fs';
import openapi, { astToString } from 'openapi-typescript';

const from = process.argv[2];
if (!from) {
  console.error('usage: npm run api -- URL|FILE');
  process.exit(2);
}
const document = from.startsWith('http')
  ? await (await fetch(new URL('/api/openapi.json', from))).json()
  : JSON.parse(readFileSync(from, 'utf8'));
// Only the objects are used: operations are named in src/lib/api, one function each.
const types = astToString(await openapi({ ...document, paths: {} }));
writeFileSync(new URL('../src/lib/api/schema.ts', import.meta.url), types);
