// A token that is in use is renewed before its end, though most reads never reach the library.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LIMIT, sandbox } from './sandbox.mjs';

test('no read waits for the renewal of a token that is in use, and none gets one that has ended', LIMIT, async () => {
  await sandbox.set({ expires_in: 12 });
  const tm = sandbox.manager();
  await tm.getToken();
  // Longer than any pause of a busy machine that should pass as none.
  await sandbox.set({ token_delay: 1.5 });
  // Each token with the end that it had when it was first seen.
  const tokens = new Map();
  let longest = 0;
  // The wall clock is set back by an hour before the token's end, and on again after it.
  const { now } = Date;
  const start = performance.now();
  const passed = () => performance.now() - start;
  Date.now = () => now() - (passed() > 1000 && passed() < 12_000 ? 3_600_000 : 0);
  for (; passed() < 15_000; await sleep(5)) {
    const begun = performance.now();
    const token = await tm.getToken();
    longest = Math.max(longest, performance.now() - begun);
    if (!tokens.has(token)) tokens.set(token, performance.now() + token.validFor * 1000);
    // The clocks that the library judges by tick every 4 ms.
    const late = begun - tokens.get(token);
    assert.ok(late < 20, `a read that began ${late} ms after the token's end got it`);
  }
  Date.now = now;
  assert.equal(tokens.size, 2);
  assert.equal(await sandbox.tokensIssued(), 2);
  assert.ok(longest < 750, `a read took ${longest} ms`);
  await sandbox.set({ expires_in: 60 });
});
