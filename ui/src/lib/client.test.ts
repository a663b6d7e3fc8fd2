import { afterEach, expect, test, vi } from 'vitest';
import { ApiError, onLostSession, send } from './client';

interface Sent {
  path: string;
  init: RequestInit;
}

/** Answers requests in turn; what was sent is in the result. */
function answering(...answers: (() => Response | Promise<Response>)[]): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
    sent.push({ path, init });
    const answer = answers.shift();
    return answer ? Promise.resolve().then(answer) : Promise.reject(new TypeError('nothing left'));
  });
  return sent;
}

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  () =>
    new Response(JSON.stringify(body), {
      status,
      headers: { 'Content-Type': 'application/json', ...headers },
    });
const refused = (status: number, code: string, message: string, headers = {}) =>
  json(status, { errors: [{ code, message }] }, headers);
const header = (sent: Sent | undefined, name: string) => new Headers(sent?.init.headers).get(name);

afterEach(() => {
  vi.unstubAllGlobals();
  onLostSession(() => Promise.resolve(false));
});

test('a list has its rows and how many there are in all', async () => {
  const sent = answering(json(200, [1, 2], { 'X-Total-Count': '40' }));
  const answer = await send<number[]>('GET', '/api/x', { query: { page: 2, q: 'a=~b&c', sort: undefined } });
  expect(answer).toEqual({ body: [1, 2], total: 40 });
  expect(sent[0]?.path).toBe('/api/x?page=2&q=a%3D%7Eb%26c');
});

test('the newest token goes with every change, and a refused one is replaced once', async () => {
  const sent = answering(
    json(200, {}, { 'X-Harbor-CSRF-Token': 'one' }),
    refused(403, 'FORBIDDEN', 'CSRF token invalid', { 'X-Harbor-CSRF-Token': 'two' }),
    json(200, {}),
  );
  await send('GET', '/api/x');
  await send('POST', '/c/login', { form: { principal: 'a&b' } });
  expect(header(sent[0], 'X-Harbor-CSRF-Token')).toBeNull();
  expect(sent.slice(1).map((one) => header(one, 'X-Harbor-CSRF-Token'))).toEqual(['one', 'two']);
  expect(String(sent[2]?.init.body)).toBe('principal=a%26b');
});

test('after a new sign-in what was refused is sent again', async () => {
  const ask = vi.fn(() => Promise.resolve(true));
  onLostSession(ask);
  answering(refused(401, 'UNAUTHORIZED', 'no'), json(200, { done: true }));
  expect((await send('PUT', '/api/x', { json: {} })).body).toEqual({ done: true });
  expect(ask).toHaveBeenCalledOnce();
});

test('requests in the background keep no session alive and ask for nothing', async () => {
  const ask = vi.fn(() => Promise.resolve(true));
  onLostSession(ask);
  const sent = answering(refused(401, 'UNAUTHORIZED', 'no'));
  await expect(send('GET', '/api/x', { background: true })).rejects.toMatchObject({ status: 401 });
  expect(header(sent[0], 'X-Harbor-No-Session-Renewal')).toBe('true');
  expect(ask).not.toHaveBeenCalled();
});

test('an error has its code, message, request and wait', async () => {
  answering(refused(429, 'TOO_MANY_REQUEST', 'slow', { 'X-Request-Id': 'r1', 'Retry-After': '7' }));
  const error = await send('GET', '/api/x').catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    status: 429,
    code: 'TOO_MANY_REQUEST',
    message: 'slow',
    requestId: 'r1',
    retryAfter: 7,
  });
});

test('no answer, and that of a proxy without the registry, are the same', async () => {
  vi.useFakeTimers();
  answering(() => Promise.reject(new TypeError('failed to fetch')));
  await expect(send('GET', '/api/x')).rejects.toMatchObject({ status: 0, code: 'UNREACHABLE' });
  answering(() => new Response('<html>', { status: 502, headers: { 'Content-Type': 'text/html' } }));
  await expect(send('GET', '/api/x')).rejects.toMatchObject({ status: 0, code: 'UNREACHABLE' });
  answering(refused(503, 'SERVICE_UNAVAILABLE', 'database'));
  await expect(send('GET', '/api/x')).rejects.toMatchObject({ status: 503, code: 'SERVICE_UNAVAILABLE' });
  vi.useRealTimers();
});
