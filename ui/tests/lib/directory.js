// A real directory (OpenLDAP's slapd) with people and groups, some of whose names are made to break pages.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BASE = 'dc=northquay,dc=example';
export const READER = `cn=reader,${BASE}`;
export const READER_PASSWORD = 'Reader-12345';
/** Of every person. */
export const PASSWORD = 'Ldap-crane-7';
export const PEOPLE = `ou=people,${BASE}`;
export const GROUPS = `ou=groups,${BASE}`;
/** What runs nothing: names are data. */
export const SCRIPT = '<img src=x onerror=alert(1)>';
export const LONG = `head-of-the-department-of-${'harbours-and-'.repeat(6)}quays`;

/** Names to sign in with, and what people are called. */
const NAMES = {
  lena: 'Lena Hafner',
  xiaoyu: '陈晓雨',
  mallory: SCRIPT,
  // Somebody of the seed has this name.
  dev: 'Another Developer',
  [LONG]: 'Somebody whose name is as long as names get',
};
const CROWD = 130;

const people = () => [
  ...Object.entries(NAMES),
  ...Array.from({ length: CROWD }, (_, at) => [`crew-${String(at + 1).padStart(3, '0')}`, `Crew ${at + 1}`]),
];

/** The same for a name each time: accounts follow it. */
const uuidOf = (name) =>
  createHash('sha1')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');

const base64 = (text) => Buffer.from(text).toString('base64');

function seed() {
  const entries = [
    `dn: ${BASE}\nobjectClass: dcObject\nobjectClass: organization\no: northquay\ndc: northquay`,
    `dn: ${READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n` +
      `userPassword: ${READER_PASSWORD}`,
    ...['people', 'groups'].map((ou) => `dn: ou=${ou},${BASE}\nobjectClass: organizationalUnit\nou: ${ou}`),
    ...people().map(
      ([uid, cn]) =>
        `dn: uid=${uid},${PEOPLE}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn:: ${base64(cn)}\nsn: x\n` +
        `mail: ${uid.slice(0, 40)}@northquay.example\nuserPassword: ${PASSWORD}\nentryUUID: ${uuidOf(uid)}`,
    ),
    `dn: cn=yard,${GROUPS}\nobjectClass: groupOfNames\ncn: yard\nmember: uid=crew-001,${PEOPLE}`,
    `dn: cn=crane,${GROUPS}\nobjectClass: groupOfNames\ncn: crane\nmember: uid=lena,${PEOPLE}`,
    `dn: o=hostile,${GROUPS}\nobjectClass: groupOfNames\no: hostile\ncn:: ${base64(SCRIPT)}\n` +
      `member: uid=mallory,${PEOPLE}`,
    `dn: o=far,${GROUPS}\nobjectClass: groupOfNames\no: far\ncn:: ${base64('码头起重机组')}\nmember: uid=xiaoyu,${PEOPLE}`,
  ];
  return `${entries.join('\n\n')}\n`;
}

const configuration = (folder) => `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${folder}/pid
database mdb
suffix ${BASE}
directory ${folder}/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="${READER}" read by * auth
`;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(socket.end() && true));
    socket.on('error', () => resolve(false));
  });

/** Starts one; its address, and what ends it. */
export async function startDirectory() {
  const folder = mkdtempSync(join(tmpdir(), 'ui-slapd-'));
  mkdirSync(join(folder, 'data'));
  const [conf, ldif] = ['slapd.conf', 'seed.ldif'].map((name) => join(folder, name));
  writeFileSync(conf, configuration(folder));
  writeFileSync(ldif, seed());
  // Debian keeps both where not every account looks.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  execFileSync('slapadd', ['-q', '-f', conf, '-l', ldif], { env });
  const port = await freePort();
  const url = `ldap://127.0.0.1:${port}`;
  const server = spawn('slapd', ['-d', '0', '-h', `${url}/`, '-f', conf], { env, stdio: 'ignore' });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  for (let attempt = 0; !(await answers(port)); attempt += 1) {
    if (attempt === 200 || server.exitCode !== null) throw new Error('slapd is not ready');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async () => {
    server.kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
  return { url, stop };
}
