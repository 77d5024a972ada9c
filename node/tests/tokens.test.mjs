// Managers and their tokens.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { LIMIT, sandbox } from './sandbox.mjs';

test('the cached token is the same object while it is to be used', LIMIT, async () => {
  const tm = sandbox.manager();
  assert.equal(tm.peekToken(), null);
  const token = await tm.getToken();
  assert.equal(await tm.getToken(), token);
  assert.equal(tm.peekToken(), token);
  const { access_token, session_id, expires_in } = token;
  assert.ok(access_token.length > 20 && session_id.startsWith('sess_'));
  assert.equal(expires_in, 60);
  assert.ok(token.validFor > 45 && token.validFor <= 50);
  assert.equal(await sandbox.tokensIssued(), 1);
});

test('a thousand promises at an empty cache ask for one token and get one object', LIMIT, async () => {
  await sandbox.set({ token_delay: 0.2 });
  const tm = sandbox.manager();
  const tokens = await Promise.all(Array.from({ length: 1000 }, () => tm.getToken()));
  assert.equal(new Set(tokens).size, 1);
  assert.equal(await sandbox.tokensIssued(), 1);
});

test(
  'a thousand promises that fail get equal errors, each its own, and the endpoint is asked once',
  LIMIT,
  async () => {
    await sandbox.fault('token', sandbox.answer(403, {}, { message: 'Access denied' }), null);
    await sandbox.set({ token_delay: 0.2 });
    const tm = sandbox.manager();
    const results = await Promise.allSettled(Array.from({ length: 1000 }, () => tm.getToken()));
    const errors = results.map((result) => result.reason);
    assert.equal(new Set(errors).size, 1000);
    const seen = errors.map((e) => JSON.stringify([e.name, e.code, e.message, e.attempt, e.outcome, e.httpStatus]));
    assert.deepEqual(new Set(seen).size, 1, seen[0]);
    assert.equal(errors[0].code, 'access_denied');
    const log = await sandbox.control('GET', '/log');
    assert.equal(log.length, 1);
  },
);

test('objects of the same credentials share one manager and token, others do not', LIMIT, async () => {
  const [tm, same] = [sandbox.manager(), sandbox.manager({ timeout: 5 })];
  const other = sandbox.manager({ apiKey: await sandbox.newKey() });
  assert.equal(same.managerId, tm.managerId);
  assert.notEqual(other.managerId, tm.managerId);
  const [token, again, foreign] = [await tm.getToken(), await same.getToken(), await other.getToken()];
  assert.equal(again.access_token, token.access_token);
  assert.notEqual(foreign.access_token, token.access_token);
});

test('an invalidated token is not handed out again', LIMIT, async () => {
  const tm = sandbox.manager();
  const token = await tm.getToken();
  assert.equal(tm.invalidate(), true);
  assert.equal(tm.peekToken(), null);
  assert.equal(tm.invalidate(), false);
  const next = await tm.getToken();
  assert.notEqual(next.access_token, token.access_token);
  assert.equal(tm.invalidate(token), false);
  assert.equal(tm.peekToken(), next);
});

test('a token that another object of the manager drops is seen by the next read', LIMIT, async () => {
  const [tm, other] = [sandbox.manager(), sandbox.manager()];
  const token = await tm.getToken();
  // From now on a read is one of memory, for a while.
  assert.equal(await tm.getToken(), token);
  assert.equal(other.invalidate(), true);
  assert.notEqual(await tm.getToken(), token);
});

test('a token that another thread drops is seen by the next read', LIMIT, async () => {
  const tm = sandbox.manager();
  let token;
  for (let i = 0; i < 3; i++) token = await tm.getToken();
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { TokenManager } = require(workerData.index);
    parentPort.postMessage(new TokenManager(workerData.options).invalidate());`;
  const index = createRequire(import.meta.url).resolve('pay88');
  const worker = new Worker(code, { eval: true, workerData: { index, options: sandbox.options } });
  const [dropped] = await once(worker, 'message');
  assert.equal(dropped, true);
  assert.notEqual(await tm.getToken(), token);
});

test('what is kept ends with the token', LIMIT, async (t) => {
  await sandbox.set({ expires_in: 13 });
  t.after(() => sandbox.set({ expires_in: 60 }));
  // So it lives for three seconds.
  const tm = sandbox.manager({ tokensPerHour: 3600 });
  let token;
  for (let i = 0; i < 3; i++) token = await tm.getToken();
  while (token.validFor > 0) await delay(20);
  assert.notEqual(await tm.getToken(), token);
});

test('a rotated key is used for the next token', LIMIT, async () => {
  const tm = sandbox.manager();
  const old = await tm.getToken();
  const apiKey = await sandbox.newKey();
  tm.rotate({ apiKey });
  await sandbox.control('DELETE', '/keys', { key: sandbox.apiKey });
  tm.invalidate();
  assert.notEqual((await tm.getToken()).access_token, old.access_token);
});

test('a closed manager refuses, ends what is pending, and the others go on', LIMIT, async () => {
  const [tm, other] = [sandbox.manager(), sandbox.manager()];
  for (let i = 0; i < 3; i++) await tm.getToken();
  await sandbox.fault('calls', 'stall');
  const pending = tm.makeRequest('/api/echo');
  setTimeout(() => tm.close(), 100);
  await assert.rejects(pending, { code: 'canceled' });
  await assert.rejects(tm.getToken(), { code: 'config_invalid' });
  await assert.rejects(tm.makeRequest('/api/echo'), { code: 'config_invalid', outcome: 'not_sent' });
  assert.throws(() => tm.peekToken(), { code: 'config_invalid' });
  assert.ok(await other.getToken());
});

test('a closed manager holds no option of those that come after it', LIMIT, async () => {
  const [closed, other] = [sandbox.manager(), sandbox.manager()];
  closed.close();
  assert.throws(() => sandbox.manager({ tokensPerHour: 99 }), { code: 'config_invalid', hint: /close/ });
  other.close();
  assert.ok(await sandbox.manager({ tokensPerHour: 99 }).getToken());
});

test('statistics count', LIMIT, async () => {
  const tm = sandbox.manager();
  await tm.getToken();
  await tm.getToken();
  await tm.makeRequest('/api/echo');
  const { tokens_issued, calls, manager_id, hits, hold } = tm.stats();
  assert.deepEqual([tokens_issued, calls, manager_id, hold], [1, 1, tm.managerId, null]);
  assert.ok(hits >= 1);
  for (let i = 0; i < 100; i++) await tm.getToken();
  assert.equal(tm.stats().hits, hits + 100);
  // Those of an object that is closed too.
  const other = sandbox.manager();
  for (let i = 0; i < 100; i++) await other.getToken();
  other.close();
  assert.equal(tm.stats().hits, hits + 200);
});

test('the statistics are those that the types have', LIMIT, async () => {
  const source = await readFile(new URL('../src/manager.ts', import.meta.url), 'utf8');
  const [, fields] = source.match(/^export interface Stats {\n(.*?)^}/ms);
  const names = [...fields.matchAll(/^  (\w+):/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(sandbox.manager().stats()).sort(), names.sort());
});
