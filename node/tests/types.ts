// What the types allow and what they do not. Compiled, never run.
import { channel } from 'node:diagnostics_channel';

import axios from 'axios';
import {
  ConfigInvalidError,
  type Event,
  HttpError,
  type Outcome,
  Pay88Error,
  raiseForStatus,
  RateLimitedError,
  type Share,
  Token,
  TokenManager,
} from 'pay88';
import { authenticate } from 'pay88/axios';
import { authenticated } from 'pay88/undici';
import { Agent } from 'undici';

new TokenManager();
new TokenManager({ apiKey: 'k', timeout: 2.5, share: 'process' });
// The documentation's own: each may be undefined.
const tm = new TokenManager(
  process.env['KEY'],
  process.env['ID'],
  process.env['URL'] || 'https://api-sandbox.88pay.io',
);
new TokenManager('k', null, undefined, { caBundle: '/ca.pem' });
// @ts-expect-error there is no such option
new TokenManager({ apikey: 'k' });
for (const share of [
  'process',
  'host:/run/pay',
  'redis://cache:6379',
  'host,rediss://a,rediss://b',
] satisfies Share[]) {
  new TokenManager({ share });
}
new TokenManager({ share: process.env['SHARE'] });
// @ts-expect-error it is text
new TokenManager({ share: ['host'] });

export async function uses(form: FormData, controller: AbortController): Promise<Response> {
  const { access_token, session_id, expires_in } = await tm.getToken({ signal: controller.signal, timeout: 5 });
  const parts: [string, string, number] = [access_token, session_id, expires_in];
  const token: Token | null = tm.peekToken();
  // @ts-expect-error it may be null
  token.access_token;
  const id: number = tm.managerId + tm.stats().tokens_issued;
  tm.invalidate(await tm.getToken());
  tm.rotate({ apiKey: parts[0], keepOld: id > 0 });
  await tm.makeRequest('/api/x', { method: 'POST', body: form, params: { a: 1, b: ['c'], d: null }, duplex: 'half' });
  await tm.makeRequest('/api/x', { body: Buffer.from(''), headers: new Headers(), safeToRepeat: true });
  await tm.makeRequest('/api/x', { body: new URLSearchParams(), headers: [['a', 'b']], signal: null });
  // @ts-expect-error redirects are never followed
  await tm.makeRequest('/api/x', { redirect: 'follow' });
  // @ts-expect-error JSON.stringify it
  await tm.makeRequest('/api/x', { body: { a: 1 } });
  return raiseForStatus(await tm.makeRequest('/api/x'));
}

export function handles(error: unknown): Outcome | number | undefined {
  if (error instanceof RateLimitedError) return error.retryAfter;
  if (error instanceof ConfigInvalidError && error.code === 'config_invalid') return error.httpStatus;
  if (error instanceof HttpError) return error.response?.status;
  if (error instanceof Pay88Error) return error.outcome;
  return undefined;
}

export const mocked: Pay88Error[] = [
  new RateLimitedError('Later.', { retryAfter: 60, outcome: 'not_sent', hint: 'Wait.', httpStatus: 429 }),
  new HttpError('No.', { response: new Response(), cause: new Error('why') }),
  new Pay88Error(),
];
// @ts-expect-error there is no such outcome
new Pay88Error('x', { outcome: 'sent' });

channel('pay88').subscribe((message) => {
  const { name, level } = message as Event;
  if (name === 'call_failed' && level === 'warning') console.log(name);
  // @ts-expect-error there is no such event
  if (name === 'call_fail') console.log(name);
});
new Agent().compose(authenticated(tm));
const eject: () => void = authenticate(axios.create(), tm);
eject();
