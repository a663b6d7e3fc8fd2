// The registry under test, spoken to directly: for what a page cannot do, such as pushing.
import { createHash } from 'node:crypto';
import { request } from 'node:https';

/** Where the registry is, and the password of its `admin`. */
export const REGISTRY = new URL(process.env.GANTRY_URL ?? 'https://127.0.0.1:8443');
export const ADMIN = ['admin', process.env.GANTRY_ADMIN_PASSWORD ?? ''];

/** Sends a request; the status, headers and text of the answer. */
export function call(method, path, { as = ADMIN, body, type = 'application/json' } = {}) {
  const headers = { authorization: `Basic ${Buffer.from(as.join(':')).toString('base64')}` };
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
async function must(method, path, options) {
  const answer = await call(method, path, options);
  if (answer.status >= 400 && answer.status !== 409)
    throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
}

const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Pushes a small image. */
export async function push(name, tag, text = name) {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', text }));
  const layer = Buffer.from(`layer of ${text}`);
  const blobs = [config, layer].map((bytes) => ({ digest: digestOf(bytes), size: bytes.length, bytes }));
  for (const { digest, bytes } of blobs) {
    const path = `/v2/${name}/blobs/uploads/?digest=${digest}`;
    await must('POST', path, { body: bytes, type: 'application/octet-stream' });
  }
  const describe = ({ digest, size }, mediaType) => ({ mediaType, digest, size });
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: describe(blobs[0], 'application/vnd.oci.image.config.v1+json'),
    layers: [describe(blobs[1], 'application/vnd.oci.image.layer.v1.tar')],
  };
  await must('PUT', `/v2/${name}/manifests/${tag}`, {
    body: Buffer.from(JSON.stringify(manifest)),
    type: manifest.mediaType,
  });
}

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
  // What runs nothing: names are data.
  const body = {
    username: '<img src=x onerror=alert(1)>',
    realname: '<script>alert(1)</script>',
    email: 'x@northquay.example',
    password: PASSWORD,
    comment: '',
  };
  await must('POST', '/api/v2.0/users', { body });
}
