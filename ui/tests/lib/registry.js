// The registry under test, spoken to directly: for what a page cannot do, such as pushing.
import { createHash } from 'node:crypto';
import { request } from 'node:https';
import { gzipSync } from 'node:zlib';

/** Where the registry is, and the password of its `admin`. */
export const REGISTRY = new URL(process.env.GANTRY_URL ?? 'https://127.0.0.1:8443');
export const ADMIN = ['admin', process.env.GANTRY_ADMIN_PASSWORD ?? ''];

/** Sends a request, as an account or as nobody (`null`); the status, headers and text of the answer. */
export function call(method, path, { as = ADMIN, body, type = 'application/json', headers: more = {} } = {}) {
  const headers = { ...more };
  if (as) headers.authorization = `Basic ${Buffer.from(as.join(':')).toString('base64')}`;
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  if (bytes) Object.assign(headers, { 'content-type': type, 'content-length': bytes.length });
  // The registry has a certificate of its own, and is on this machine.
  const options = { method, headers, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, REGISTRY), options, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () =>
        resolve({ status: answer.statusCode, headers: answer.headers, text: String(Buffer.concat(parts)) }),
      );
    });
    sent.on('error', reject);
    sent.end(bytes);
  });
}

/** Sends a request that must succeed, or meet what is there already. */
export async function must(method, path, options) {
  const answer = await call(method, path, options);
  if (answer.status >= 400 && answer.status !== 409)
    throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
}

/** Signs in as the pages do; the cookies of the session, each with its name and value. */
export async function session([principal, password]) {
  const cookies = ({ headers }) => (headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0]);
  const first = await call('GET', '/c/login', { as: null });
  const signedIn = await must('POST', '/c/login', {
    as: null,
    body: Buffer.from(String(new URLSearchParams({ principal, password }))),
    type: 'application/x-www-form-urlencoded',
    headers: {
      cookie: cookies(first).join('; '),
      'x-harbor-csrf-token': first.headers['x-harbor-csrf-token'],
    },
  });
  return [...cookies(first), ...cookies(signedIn)].map((cookie) => {
    const at = cookie.indexOf('=');
    return { name: cookie.slice(0, at), value: cookie.slice(at + 1) };
  });
}

const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** Sends bytes as a blob; their descriptor. */
async function blob(name, bytes, mediaType) {
  const digest = digestOf(bytes);
  const path = `/v2/${name}/blobs/uploads/?digest=${digest}`;
  await must('POST', path, { body: bytes, type: 'application/octet-stream' });
  return { mediaType, digest, size: bytes.length };
}

/** Sends a manifest under a tag, or under its digest; its descriptor. */
async function manifest(name, tag, content) {
  const body = Buffer.from(JSON.stringify(content));
  const digest = digestOf(body);
  await must('PUT', `/v2/${name}/manifests/${tag ?? digest}`, { body, type: content.mediaType });
  return { mediaType: content.mediaType, digest, size: body.length };
}

const isPushed = async (name, tag) => (await call('GET', `/v2/${name}/manifests/${tag}`)).status === 200;

/** Pushes a small image; its descriptor. `config` adds to what its configuration says. */
export async function push(name, tag, { text = name, config = {}, ...more } = {}) {
  const whole = { architecture: 'amd64', os: 'linux', text, ...config };
  return manifest(name, tag, {
    schemaVersion: 2,
    mediaType: IMAGE,
    config: await blob(name, Buffer.from(JSON.stringify(whole)), CONFIG),
    layers: [await blob(name, Buffer.from(`layer of ${text}`), LAYER)],
    ...more,
  });
}

/** Pushes an index of images for two platforms. */
export async function pushIndex(name, tag) {
  const manifests = [];
  for (const architecture of ['amd64', 'arm64']) {
    const child = await push(name, undefined, { text: `${name} ${architecture}`, config: { architecture } });
    manifests.push({ ...child, platform: { os: 'linux', architecture } });
  }
  return pushIndexOf(name, tag, manifests);
}

/** Pushes an index of what was pushed before. */
export const pushIndexOf = (name, tag, manifests) =>
  manifest(name, tag, { schemaVersion: 2, mediaType: INDEX, manifests });

/** Pushes something that belongs to an artifact, such as a signature or an SBOM. */
export async function attach(name, subject, artifactType) {
  const empty = await blob(name, Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
  const layer = await blob(name, Buffer.from(`${artifactType} of ${subject.digest}`), artifactType);
  const content = {
    schemaVersion: 2,
    mediaType: IMAGE,
    artifactType,
    config: empty,
    layers: [layer],
    subject,
  };
  return manifest(name, undefined, content);
}

/** Pushes a Helm chart: its files by name, in an archive as helm makes them. */
export async function pushChart(name, tag, meta, files) {
  const folder = meta.name;
  const bytes = gzipSync(tar(Object.entries(files).map(([file, text]) => [`${folder}/${file}`, text])));
  const config = Buffer.from(JSON.stringify(meta));
  return manifest(name, tag, {
    schemaVersion: 2,
    mediaType: IMAGE,
    config: await blob(name, config, 'application/vnd.cncf.helm.config.v1+json'),
    layers: [await blob(name, bytes, 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')],
  });
}

/** An archive of text files. */
function tar(files) {
  const blocks = files.flatMap(([name, text]) => {
    const body = Buffer.from(text);
    const head = Buffer.alloc(512);
    const field = (value, at) => head.write(value, at, 'latin1');
    const octal = (value, length) => value.toString(8).padStart(length - 1, '0');
    field(name, 0);
    field(octal(0o644, 8), 100);
    field(octal(0, 8), 108);
    field(octal(0, 8), 116);
    field(octal(body.length, 12), 124);
    field(octal(0, 12), 136);
    field('        ', 148);
    field('0ustar', 156);
    field('00', 263);
    const sum = head.reduce((total, byte) => total + byte, 0);
    field(`${octal(sum, 7)}\0 `, 148);
    return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** The registry's name as commands have it. */
export const hostName = async () => JSON.parse((await call('GET', '/api/v2.0/systeminfo')).text).registry_url;

/** The password of every account made here. */
export const PASSWORD = 'Quay-crane-7';

/** Accounts by role; each is a member of `platform`. */
export const ROLES = { pa: 1, dev: 2, guest: 3, mt: 4, lg: 5 };

const PEOPLE = {
  pa: 'Jonas Weber',
  dev: '陈晓雨',
  guest: 'Aisha Rahman',
  mt: 'Mei Tanaka',
  lg: 'Luis Ortega',
  outsider: 'Olga Petrova',
};

/** Fills the registry: accounts, projects public and private, repositories with long and nested names. */
export async function seed() {
  // What comes last is there: an earlier file of tests did all of it.
  if (await isPushed('base-images/image-40', 'latest')) return;
  for (const [name, realname] of Object.entries(PEOPLE)) {
    const body = {
      username: name,
      realname,
      email: `${name}@northquay.example`,
      password: PASSWORD,
      comment: '',
    };
    await must('POST', '/api/v2.0/users', { body });
  }
  const projects = ['platform', 'payments', 'edge', 'charts', 'base-images', 'sandbox', 'empty'];
  for (const [at, name] of projects.entries()) {
    const body = {
      project_name: name,
      metadata: { public: String(at % 3 === 2) },
      storage_limit: at === 6 ? -1 : 2 ** (31 + at),
    };
    await must('POST', '/api/v2.0/projects', { body });
  }
  const long = `a-project-whose-name-is-as-long-as-names-get-in-practice-${'x'.repeat(80)}`;
  await must('POST', '/api/v2.0/projects', { body: { project_name: long, metadata: { public: 'true' } } });
  for (const [name, role] of Object.entries(ROLES)) {
    const body = { role_id: role, member_user: { username: name } };
    await must('POST', '/api/v2.0/projects/platform/members', { body });
  }
  // What runs nothing: names are data.
  const body = {
    username: '<img src=x onerror=alert(1)>',
    realname: '<script>alert(1)</script>',
    email: 'x@northquay.example',
    password: PASSWORD,
    comment: '',
  };
  await must('POST', '/api/v2.0/users', { body });
  const repositories = [
    'edge-proxy',
    'edge-agent',
    'ledger-api',
    'tools/build/go',
    'tools/build/node',
    'tools/lint',
    `very/deep/${'nested/'.repeat(6)}image-with-a-long-name-at-the-end`,
  ];
  for (const name of repositories) await push(`platform/${name}`, '1.0');
  for (let at = 1; at <= 40; at += 1)
    await push(`base-images/image-${String(at).padStart(2, '0')}`, 'latest');
}

/** The repository that the tests of tags and artifacts look at. */
export const REPOSITORY = 'platform/edge-proxy';

const ABOUT = `The proxy at the edge of **every** site. It ends TLS and knows nothing else.

| tag | what it is |
|---|---|
| \`2\` | the newest release |
| \`nightly-*\` | made each night, kept for a week |

- [Source](https://example.org/edge-proxy)
- Ask in \`#edge\` before it is updated at a site.
`;

/** Fills it: tags that share a digest, an index, what belongs to an image, a chart beside it, and what runs nothing. */
export async function seedContent() {
  if (await isPushed('platform/charts/edge', '1.2.3')) return;
  const history = [
    { created: '2026-11-20T08:00:00Z', created_by: '/bin/sh -c #(nop) ADD file:abc in /' },
    { created: '2026-11-20T08:01:00Z', created_by: 'RUN apt-get install -y ca-certificates # buildkit' },
    { created: '2026-11-20T08:02:00Z', created_by: '<img src=x onerror=alert(1)>', empty_layer: true },
  ];
  const config = {
    created: '2026-11-20T08:02:00Z',
    author: 'platform team',
    config: {
      Env: ['PATH=/usr/bin', 'MODE=<script>alert(1)</script>'],
      Entrypoint: ['/usr/bin/edge'],
      ExposedPorts: { '443/tcp': {} },
    },
    history,
  };
  const annotations = { 'org.opencontainers.image.title': '<b onclick=alert(1)>edge</b>' };
  const release = { text: 'release 2.14.3', config, annotations };
  let subject;
  for (const tag of ['2.14.3', '2.14', '2', 'latest']) subject = await push(REPOSITORY, tag, release);
  await attach(REPOSITORY, subject, 'application/vnd.dev.cosign.artifact.sig.v1+json');
  for (const tag of ['nightly-1', 'nightly-2', 'nightly-3'])
    await push(REPOSITORY, tag, { text: tag, config: { history } });
  await pushIndex(REPOSITORY, 'multi');
  await must('PUT', '/api/v2.0/projects/platform/repositories/edge-proxy', { body: { description: ABOUT } });
  const meta = {
    apiVersion: 'v2',
    name: 'edge',
    version: '1.2.3',
    appVersion: '2.14',
    description: 'A chart',
  };
  const dependencies = [{ name: 'common', version: '2.x', repository: 'oci://example.org/charts' }];
  await pushChart(
    'platform/charts/edge',
    '1.2.3',
    { ...meta, dependencies },
    {
      // JSON is YAML as well.
      'Chart.yaml': JSON.stringify({ ...meta, dependencies }),
      'values.yaml': 'replicas: 3\nimage: edge\n',
      'README.md':
        '# Edge\n\nRuns at **every** site.\n\n- [x] TLS\n- [ ] QUIC\n\n[Home](https://example.org) ' +
        '[run](javascript:alert(1))\n\n<script>alert(1)</script>\n',
    },
  );
}
