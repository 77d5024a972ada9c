// For programs that keep undici or axios.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { after, before, test } from 'node:test';

import axios from 'axios';
import { authenticate } from 'pay88/axios';
import { authenticated } from 'pay88/undici';
import { Agent, request } from 'undici';

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

/** The same for both: how a call is made, with what result. */
const CLIENTS = {
  undici(tm) {
    const dispatcher = new Agent({ connect: { ca } }).compose(authenticated(tm));
    return async (url, { method = 'GET', body, headers } = {}) => {
      const answer = await request(url, { method, body, headers, dispatcher });
      return { status: answer.statusCode, data: await answer.body.json() };
    };
  },
  axios(tm) {
    const instance = axios.create({ httpsAgent, validateStatus: () => true, proxy: false });
    authenticate(instance, tm);
    return (url, { method, body, headers } = {}) => instance.request({ url, method, data: body, headers });
  },
  'axios with errors'(tm) {
    const instance = axios.create({ httpsAgent, proxy: false, baseURL: tm.baseUrl });
    authenticate(instance, tm);
    return (url, { method, body, headers } = {}) =>
      instance
        .request({ url: url.replace(tm.baseUrl, ''), method, data: body, headers })
        .catch((error) => error.response ?? Promise.reject(error));
  },
};

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
