// The diagnostics channel `pay88`.
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
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
