// AbortSignal.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CHARGE, CHARGES, LIMIT, sandbox } from './sandbox.mjs';

const reason = new Error('the user went away');

test('a signal that is aborted already sends nothing and keeps its reason', LIMIT, async () => {
  const tm = sandbox.manager();
  const signal = AbortSignal.abort(reason);
  for (const begin of [() => tm.getToken({ signal }), () => tm.makeRequest('/api/echo', { signal })]) {
    await assert.rejects(begin(), { code: 'canceled', outcome: 'not_sent', cause: reason, name: 'AbortError' });
  }
  assert.deepEqual(await sandbox.control('GET', '/log'), []);
});

test(
  'a charge that is given up while it waits for its answer has an unknown outcome and the reason',
  LIMIT,
  async () => {
    const tm = sandbox.manager();
    await tm.getToken();
    await sandbox.fault('calls', 'stall');
    const controller = new AbortController();
    let called = 0;
    controller.signal.onabort = () => called++;
    const call = tm.makeRequest(CHARGES, { method: 'POST', body: JSON.stringify(CHARGE), signal: controller.signal });
    await sandbox.arrived(CHARGES);
    const begun = Date.now();
    controller.abort(reason);
    await assert.rejects(call, { code: 'canceled', outcome: 'unknown', cause: reason });
    assert.ok(Date.now() - begun < 2000);
    assert.equal(called, 1, "the user's own onabort is left alone");
  },
);

test('one of many waiters gives up and the others get the token', LIMIT, async () => {
  await sandbox.set({ token_delay: 2 });
  const tm = sandbox.manager();
  const controller = new AbortController();
  const given = tm.getToken({ signal: controller.signal });
  const others = Array.from({ length: 10 }, () => tm.getToken());
  setTimeout(() => controller.abort(reason), 100);
  await assert.rejects(given, { code: 'canceled', outcome: 'not_sent', cause: reason });
  assert.equal(new Set(await Promise.all(others)).size, 1);
  assert.equal(await sandbox.tokensIssued(), 1);
});

test('AbortSignal.any and AbortSignal.timeout work', LIMIT, async () => {
  const tm = sandbox.manager();
  await tm.getToken();
  await sandbox.fault('calls', 'stall', 2);
  const timeout = AbortSignal.timeout(200);
  await assert.rejects(tm.makeRequest('/api/echo', { signal: timeout }), (error) => {
    assert.deepEqual([error.code, error.cause.name], ['canceled', 'TimeoutError']);
    return error.cause === timeout.reason;
  });
  if (AbortSignal.any) {
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, new AbortController().signal]);
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(tm.makeRequest('/api/echo', { signal }), { code: 'canceled', cause: reason });
  }
});

test('a signal that outlives its calls is not held on to', LIMIT, async () => {
  const tm = sandbox.manager();
  const { signal } = new AbortController();
  let [listeners, most] = [0, 0];
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...given) => {
    most = Math.max(most, ++listeners);
    return addEventListener.apply(signal, given);
  };
  signal.removeEventListener = (...given) => (listeners--, removeEventListener.apply(signal, given));
  const warnings = [];
  const warn = (warning) => warnings.push(warning.message);
  process.on('warning', warn);
  const calls = Array.from({ length: 40 }, () => tm.makeRequest('/api/echo', { signal }));
  await Promise.all(calls);
  assert.deepEqual([listeners, most], [0, 1]);
  await tm.makeRequest('/api/echo', { signal });
  process.off('warning', warn);
  assert.deepEqual(warnings, []);
});

test('a body that never ends is given up with the signal or at the timeout, and nothing is sent', LIMIT, async () => {
  const tm = sandbox.manager();
  const endless = () => new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('a')) });
  const signal = AbortSignal.timeout(100);
  await assert.rejects(tm.makeRequest('/api/echo', { method: 'POST', body: endless(), signal }), {
    code: 'canceled',
    outcome: 'not_sent',
  });
  await assert.rejects(tm.makeRequest('/api/echo', { method: 'POST', body: endless(), timeout: 0.1 }), {
    code: 'timeout',
    outcome: 'not_sent',
  });
  assert.deepEqual(await sandbox.control('GET', '/log'), []);
});
