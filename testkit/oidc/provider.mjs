// A real OpenID provider for tests, with people and keys that tests change over /control, and mischief that no real one does.
//
//   node provider.mjs PORT CLIENT-ID CLIENT-SECRET GANTRY-URL
import { createHmac, createSecretKey, randomUUID } from 'node:crypto';
import http from 'node:http';
import { SignJWT, decodeJwt, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider from 'oidc-provider';

const [port, clientId, clientSecret, gantry] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = new Map();
let [provider, keys, down] = [undefined, [], false];
let mischief = {};
let asked = {};

async function key() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

/** Grants live in the module's memory, so that a provider with other keys knows them. */
async function start({ rotate } = {}) {
  if (rotate || keys.length === 0) keys = [await key()];
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [`${gantry}/c/oidc/callback`],
        post_logout_redirect_uris: [`${gantry}/account/sign-in`],
        backchannel_logout_uri: `${gantry}/api/ext/v1/oidc/backchannel_logout`,
        backchannel_logout_session_required: true,
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    claims: { openid: ['sub'], profile: ['name', 'nick'], email: ['email'], groups: ['groups'] },
    scopes: ['openid', 'offline_access'],
    conformIdTokenClaims: false,
    cookies: { keys: ['tests'] },
    // Gantry is on this machine, where the provider else sends nothing.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
    issueRefreshToken: async (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    rotateRefreshToken: true,
    ttl: { AccessToken: 60, IdToken: 60, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600 },
    findAccount: async (_ctx, sub) => {
      const person = people.get(sub);
      return person && { accountId: sub, claims: async () => ({ sub, ...person }) };
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path === '/token' && ctx.body?.id_token && mischief.token) {
      ctx.body = { ...ctx.body, id_token: await forged(ctx.body.id_token, mischief.token) };
    }
    if (ctx.path === '/me' && mischief.userinfo) ctx.body = { ...JSON.parse(JSON.stringify(ctx.body)), ...mischief.userinfo };
  });
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'backchannel.error', 'backchannel.success']) {
    provider.on(event, (...args) => console.error(event, ...args.filter((it) => it instanceof Error).map((it) => `${it.stack} ${it.cause ?? ''}`)));
  }
}

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that is wrong in one way. */
async function forged(token, { kind, claims = {} }) {
  const all = { ...decodeJwt(token), ...claims };
  for (const [name, value] of Object.entries(all)) if (value === null) delete all[name];
  const [own] = keys;
  if (kind === 'none') return `${encoded({ alg: 'none' })}.${encoded(all)}.`;
  if (kind === 'hs256') {
    // Signed with what everybody may know: the public key, as its JSON.
    const { d, p, q, dp, dq, qi, ...open } = own;
    const head = `${encoded({ alg: 'HS256', kid: own.kid })}.${encoded(all)}`;
    return `${head}.${createHmac('sha256', JSON.stringify(open)).update(head).digest('base64url')}`;
  }
  if (kind === 'secret') {
    const signer = new SignJWT(all).setProtectedHeader({ alg: 'HS256', kid: own.kid });
    return signer.sign(createSecretKey(Buffer.from(clientSecret)));
  }
  const signing = kind === 'stranger' ? { ...(await key()), kid: own.kid } : own;
  const signer = new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid: signing.kid });
  return signer.sign(await importJWK(signing, 'RS256'));
}

async function control(request, body) {
  const wanted = body ? JSON.parse(body) : {};
  switch (request.url) {
    case '/control/person':
      if (wanted.claims === null) people.delete(wanted.sub);
      else people.set(wanted.sub, { ...people.get(wanted.sub), ...wanted.claims });
      return {};
    case '/control/rotate':
      await start({ rotate: true });
      return {};
    case '/control/down':
      down = wanted.down;
      return {};
    case '/control/mischief':
      mischief = wanted;
      return {};
    case '/control/logout-token': {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        iss: issuer,
        aud: clientId,
        iat: now,
        exp: now + 120,
        jti: randomUUID(),
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        ...wanted.claims,
      };
      return { token: await forged(`x.${encoded(claims)}.x`, { kind: wanted.kind, claims }) };
    }
    case '/control/asked':
      return asked;
    default:
      return { error: request.url };
  }
}

/** Discovery and keys as mischief has them; undefined to leave it to the provider. */
function instead(request) {
  if (request.url !== '/.well-known/openid-configuration') return undefined;
  const { redirect, metadata } = mischief;
  if (redirect) return [302, { location: redirect }, ''];
  return metadata && [200, { 'content-type': 'application/json' }, JSON.stringify(metadata)];
}

await start();
const server = http.createServer((request, response) => {
  if (request.url.startsWith('/control/')) {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', async () => response.end(JSON.stringify(await control(request, body))));
    return;
  }
  const path = request.url.split('?')[0];
  asked[path] = (asked[path] ?? 0) + 1;
  if (down) {
    response.writeHead(503).end();
    return;
  }
  const answer = instead(request);
  if (answer) response.writeHead(answer[0], answer[1]).end(answer[2]);
  else provider.callback()(request, response);
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
