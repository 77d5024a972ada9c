// A token that is in use is renewed before its end, though most reads never reach the library.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LIMIT, sandbox } from './sandbox.mjs';

test('no read waits for the renewal of a token that is in use', LIMIT, async () => {
  // It is renewed three seconds before the end of its use.
  await sandbox.set({ expires_in: 32, token_delay: 0.5 });
  const tm = sandbox.manager();
  const first = await tm.getToken();
  let token = first;
  for (; token === first; await sleep(5)) {
    let given;
    const reading = tm.getToken().then((token) => (given = token));
    // Whatever needs no answer of a server is there before anything else of the event loop has its turn.
    for (let turn = 0; turn < 5; turn++) await null;
    assert.ok(given, 'a read waited');
    token = await reading;
  }
  assert.ok(first.validFor > 0, 'it was renewed after its end');
  assert.equal(await sandbox.tokensIssued(), 2);
});

test('no read gets a token that has ended', LIMIT, async () => {
  // The renewal begins 0.9 s before the end, and takes longer.
  await sandbox.set({ expires_in: 11, token_delay: 2 });
  const tm = sandbox.manager();
  // Each token with the end that it had when it was first seen.
  const tokens = new Map();
  for (; tokens.size < 2; await sleep(5)) {
    const begun = performance.now();
    const token = await tm.getToken();
    if (!tokens.has(token)) {
      const left = token.validFor * 1000;
      tokens.set(token, performance.now() + left);
    }
    // The clocks that the library judges by tick every 4 ms.
    const late = begun - tokens.get(token);
    assert.ok(late < 20, `a read that began ${late} ms after the token's end got it`);
  }
  assert.equal(await sandbox.tokensIssued(), 2);
});
