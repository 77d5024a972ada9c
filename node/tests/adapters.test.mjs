// For programs that keep undici or axios.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';

import { authenticate } from 'pay88/axios';
import { authenticated } from 'pay88/undici';

import { AXIOS, UNDICI } from './peers.mjs';
import { CHARGE, CHARGES, LIMIT, sandbox } from './sandbox.mjs';

const ca = readFileSync(sandbox.options.caBundle);
const httpsAgent = new HttpsAgent({ ca, keepAlive: true });
let foreign;
let seen = [];

before(async () => {
  foreign = createServer((message, answer) => {
    seen.push(message.headers);
    answer.end('{}');
  });
  await new Promise((resolve) => foreign.listen(0, '127.0.0.1', resolve));
});

after(() => foreign.close());

const elsewhere = () => `http://127.0.0.1:${foreign.address().port}/`;

/** Has two calls redirected to the other origin, which must get nothing of the pair. */
async function redirected(call, tm) {
  seen = [];
  for (const status of [302, 307]) {
    await sandbox.fault('calls', sandbox.answer(status, { Location: elsewhere() }));
    await call(`${tm.baseUrl}/api/echo`, { method: 'POST', body: '{}' });
  }
  for (const headers of seen) assert.ok(!('authorization' in headers) && !('x-session-id' in headers));
}

/** The same for all: how a call is made, with what result. */
const CLIENTS = {};

for (const [name, { Agent, fetch, interceptors, MockAgent, request }] of Object.entries(UNDICI)) {
  const redirect = interceptors.redirect({ maxRedirections: 5 });
  const client =
    (compose) =>
    (tm) =>
    async (url, { method = 'GET', body, headers } = {}) => {
      const dispatcher = new Agent({ connect: { ca } }).compose(...compose(tm));
      const answer = await request(url, { method, body, headers, dispatcher });
      return { status: answer.statusCode, data: await answer.body.json().catch(() => null) };
    };
  CLIENTS[name] = client((tm) => [authenticated(tm)]);
  CLIENTS[`${name} above redirects`] = client((tm) => [redirect, authenticated(tm)]);
  CLIENTS[`${name} below redirects`] = client((tm) => [authenticated(tm), redirect]);

  test(`fetch of ${name} is authenticated, and takes no part of the pair along with a redirect`, LIMIT, async () => {
    const tm = sandbox.manager();
    const dispatcher = new Agent({ connect: { ca } }).compose(authenticated(tm));
    assert.equal((await fetch(`${tm.baseUrl}/api/echo`, { dispatcher })).status, 200);
    await redirected((url) => fetch(url, { dispatcher, method: 'POST', body: '{}' }), tm);
    assert.equal(seen.length, 2, 'fetch itself follows');
  });

  test(`no error of ${name} shows the pair`, LIMIT, async () => {
    const tm = sandbox.manager();
    const { access_token, session_id } = await tm.getToken();
    const mock = new MockAgent();
    mock.disableNetConnect();
    mock
      .get(tm.baseUrl)
      .intercept({ path: '/api/echo', headers: { 'x-order': '1' } })
      .reply(200, {});
    const agent = new Agent({ connect: { ca }, headersTimeout: 300 });
    const errors = [];
    for (const [action, dispatcher] of [
      ['cut_after_request', agent.compose(authenticated(tm))],
      ['cut_in_body', agent.compose(authenticated(tm))],
      ['garbage', agent.compose(authenticated(tm))],
      ['stall', agent.compose(authenticated(tm))],
      [
        sandbox.answer(404, { 'Content-Type': 'text/plain' }),
        agent.compose(authenticated(tm), interceptors.responseError()),
      ],
      [sandbox.answer(404), mock.compose(authenticated(tm))],
    ]) {
      await sandbox.fault('calls', action);
      const call = async () => (await request(`${tm.baseUrl}/api/echo`, { dispatcher })).body.json();
      const error = await call().then(assert.fail, (thrown) => thrown);
      errors.push(inspect([error, error.cause], { depth: Infinity, showHidden: true, getters: true }), error.stack);
    }
    assert.ok(errors.some((text) => text.includes('Mock dispatch not matched for headers')));
    for (const secret of [access_token, session_id]) for (const text of errors) assert.ok(!text.includes(secret), text);
  });
}

for (const [name, axios] of Object.entries(AXIOS)) {
  CLIENTS[name] = (tm) => {
    const instance = axios.create({ httpsAgent, validateStatus: () => true, proxy: false });
    authenticate(instance, tm);
    return (url, { method, body, headers } = {}) => instance.request({ url, method, data: body, headers });
  };
  CLIENTS[`${name} with errors`] = (tm) => {
    const instance = axios.create({ httpsAgent, proxy: false, baseURL: tm.baseUrl, beforeRedirect: () => {} });
    authenticate(instance, tm);
    return (url, { method, body, headers } = {}) =>
      instance
        .request({ url: url.replace(tm.baseUrl, ''), method, data: body, headers })
        .catch((error) => error.response ?? Promise.reject(error));
  };
}

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name}: a charge works, with the headers of the caller`, LIMIT, async () => {
    const tm = sandbox.manager();
    const call = client(tm);
    const headers = { 'Content-Type': 'application/json', 'X-Order': '42' };
    const charge = await call(`${tm.baseUrl}${CHARGES}`, { method: 'POST', body: JSON.stringify(CHARGE), headers });
    assert.equal(charge.status, 200);
    assert.ok(charge.data.data.reference);
    const echo = await call(`${tm.baseUrl}/api/echo`, { headers });
    assert.equal(echo.data.data.headers['x-order'], '42');
  });

  test(`${name}: another origin gets nothing`, LIMIT, async () => {
    const tm = sandbox.manager();
    seen = [];
    await client(tm)(elsewhere());
    assert.equal(seen.length, 1);
    assert.ok(!('authorization' in seen[0]) && !('x-session-id' in seen[0]));
    assert.equal(await sandbox.tokensIssued(), 0);
  });

  test(`${name}: a redirect to another origin takes no part of the pair along`, LIMIT, async () => {
    const tm = sandbox.manager();
    await redirected(client(tm), tm);
    assert.equal((await sandbox.calls()).length, 2);
  });

  // Where redirects stand makes no difference to it.
  if (!/redirects/.test(name))
    test(`${name}: 200 calls that are answered 401 lead to one refresh`, LIMIT, async () => {
      const tm = sandbox.manager();
      const call = client(tm);
      await tm.getToken();
      await sandbox.control('POST', '/revoke');
      const options = { method: 'POST', body: JSON.stringify(CHARGE), headers: { 'Content-Type': 'application/json' } };
      const answers = await Promise.all(Array.from({ length: 200 }, () => call(`${tm.baseUrl}${CHARGES}`, options)));
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
      assert.equal(await sandbox.tokensIssued(), 2);
      assert.equal((await sandbox.control('GET', '/charges')).length, 200);
    });

  test(`${name}: a call that is always answered 401 is repeated once and then told`, LIMIT, async () => {
    const tm = sandbox.manager();
    const call = client(tm);
    await sandbox.fault('calls', sandbox.answer(401, {}, { message: 'no' }), null);
    for (let count = 0; count < 2; count++) assert.equal((await call(`${tm.baseUrl}/api/echo`)).status, 401);
    assert.equal(await sandbox.tokensIssued(), 2);
    assert.equal((await sandbox.calls()).length, 3, 'tokens are not dropped more than once in 10 s');
  });

  test(`${name}: the error of a token that cannot be had is the call's`, LIMIT, async () => {
    await sandbox.fault('token', sandbox.answer(403, {}, { message: 'Access denied' }), null);
    const tm = sandbox.manager();
    await assert.rejects(client(tm)(`${tm.baseUrl}/api/echo`), { code: 'access_denied', outcome: 'not_sent' });
  });
}
