// No way of looking at an object, an error or an event shows a secret.
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';

import { CHARGE, CHARGES, LIMIT, sandbox } from './sandbox.mjs';

/** All that can be had of a value without asking for the secret by its name. */
function shown(value) {
  const error = value instanceof Error ? [value.stack, value.message, String(value.cause)] : [];
  return [
    inspect(value, { showHidden: true, depth: Infinity, getters: false }),
    JSON.stringify(value),
    String(value),
    Object.getOwnPropertyNames(value).map((name) => inspect(value[name])),
    JSON.stringify({ ...value }),
    ...error,
  ].join('\n');
}

test('objects, errors and events give no secret away', LIMIT, async () => {
  const seen = [];
  subscribe('pay88', (event) => seen.push(inspect(event, { depth: Infinity })));
  const tm = sandbox.manager({ proxy: 'http://user:proxy-password@127.0.0.1:1' });
  const token = await tm.getToken();
  const secrets = [token.access_token, token.session_id, sandbox.apiKey, 'proxy-password'];
  seen.push(shown(tm), shown(token), serialize({ ...token }).toString('latin1'), shown(tm.stats()));
  const structured = structuredClone({ ...token });
  seen.push(inspect(structured));

  await sandbox.fault('calls', 'cut_before_answer');
  const charge = { method: 'POST', body: JSON.stringify(CHARGE), headers: { 'X-Order': '1' } };
  seen.push(shown(await tm.makeRequest(CHARGES, charge).catch((error) => error)));
  await sandbox.control('DELETE', '/keys', { key: sandbox.apiKey });
  tm.invalidate();
  seen.push(shown(await tm.getToken().catch((error) => error)));
  for (const wrong of [{ apiKey: `x${sandbox.apiKey}` }, { share: `redis://u:${sandbox.apiKey}` }, { apiKey: 7n }]) {
    try {
      sandbox.manager(wrong);
    } catch (error) {
      seen.push(shown(error));
    }
  }
  seen.push(shown(await tm.makeRequest('/api/echo', { headers: { 'x-api-key': sandbox.apiKey } }).catch((e) => e)));

  for (const end = Date.now() + 10_000; !seen.some((text) => text.includes('token_failed'));) {
    assert.ok(Date.now() < end, 'the event never comes');
    await sleep(10);
  }
  assert.ok(seen.length > 10 && seen.every((text) => text.length > 0));
  assert.ok(seen.some((text) => text.includes("outcome: 'unknown'")));
  for (const secret of secrets) {
    for (const text of seen) assert.ok(!text.includes(secret), `${secret} in ${text}`);
  }
});
