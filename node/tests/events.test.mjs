// The diagnostics channel `pay88`.
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LIMIT, sandbox } from './sandbox.mjs';

const { native } = createRequire(import.meta.url)('../dist/native.js');

async function until(condition) {
  for (const end = Date.now() + 10_000; !condition();) {
    assert.ok(Date.now() < end, 'it never happens');
    await sleep(10);
  }
}

test('events of managers reach a subscriber, with the names and fields of all languages', LIMIT, async () => {
  const events = [];
  const listener = (event, name) => events.push({ ...event, channel: name });
  subscribe('pay88', listener);
  const tm = sandbox.manager();
  await tm.getToken();
  tm.invalidate();
  await until(() => events.length >= 2);
  unsubscribe('pay88', listener);
  const [issued, invalidated] = events;
  assert.deepEqual([issued.name, issued.channel, issued.manager_id], ['token_issued', 'pay88', tm.managerId]);
  assert.equal(issued.fields.expires_in, 60);
  assert.ok(Math.abs(Date.now() - issued.time) < 60_000);
  assert.equal(invalidated.name, 'token_invalidated');
  assert.ok(events.every((event) => native.eventNames().includes(event.name)));
  await tm.getToken();
  await sleep(200);
  assert.equal(events.length, 2, 'who has unsubscribed is told nothing');
});

test('every name of the one table is in the types, and no other', () => {
  const source = readFileSync(new URL('../src/events.ts', import.meta.url), 'utf8');
  const [, names] = source.match(/^export type EventName =\n(.*?);/ms);
  assert.deepEqual(names.match(/\w+/g), native.eventNames());
});

test('each final answer that says no is an event and counts, and so is a call without an answer', LIMIT, async () => {
  const events = [];
  const listener = (event) => event.name === 'call_failed' && events.push(event);
  subscribe('pay88', listener);
  const tm = sandbox.manager();
  await tm.getToken();
  const statuses = [401, 403, 404, 422, 429, 500, 503];
  for (const status of statuses) {
    // A pause that is longer than the call may take, so this one is the last answer.
    const headers = status === 429 ? { 'Retry-After': '31' } : {};
    await sandbox.fault('calls', sandbox.answer(status, headers, { message: 'no' }), null);
    assert.equal((await tm.makeRequest('/api/echo', { method: 'POST' })).status, status);
    await sandbox.control('DELETE', '/faults');
  }
  await sandbox.fault('calls', 'cut_after_request');
  await assert.rejects(tm.makeRequest('/api/echo', { method: 'POST' }), { outcome: 'unknown' });
  await until(() => events.length >= statuses.length + 1);
  unsubscribe('pay88', listener);
  assert.deepEqual(
    events.map(({ fields }) => fields.status),
    [...statuses, null],
  );
  for (const { level, manager_id, fields } of events) {
    assert.deepEqual([level, manager_id, fields.method, fields.path], ['warning', tm.managerId, 'POST', '/api/echo']);
    assert.deepEqual(
      [fields.code, fields.outcome],
      fields.status === null ? ['connection_failed', 'unknown'] : ['http_error', 'answered'],
    );
  }
  const stats = tm.stats();
  assert.equal(stats.calls_failed, 1);
  for (const status of [401, 403, 404, 422, 429]) assert.equal(stats[`calls_answered_${status}`], 1, status);
  assert.deepEqual([stats.calls_answered_4xx, stats.calls_answered_5xx], [5, 2]);
});
