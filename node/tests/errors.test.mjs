// What is thrown, and for what: nothing is ever sent for input that cannot be meant.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import * as pay88 from 'pay88';

import { LIMIT, sandbox } from './sandbox.mjs';

const { Pay88Error, TokenManager } = pay88;
const require = createRequire(import.meta.url);
const { native } = require('../dist/native.js');
const { CLASSES } = require('../dist/errors.js');

test('every code of the one table has its class, and no other', () => {
  assert.deepEqual(Object.keys(CLASSES).sort(), native.errorCodes().sort());
  for (const Class of Object.values(CLASSES)) {
    assert.ok(Class.prototype instanceof Pay88Error);
    assert.equal(pay88[Class.prototype.constructor.name], Class);
  }
});

test('every option of the one table is declared, and no other', () => {
  const declared = readFileSync(new URL('../dist/options.d.ts', import.meta.url), 'utf8').matchAll(/^ {4}(\w+)\?:/gm);
  const snake = [...declared].map(([, name]) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  const table = native.options().filter((_, index) => index % 2 === 0);
  assert.deepEqual(snake, table);
});

test('an error says all that is known of it', LIMIT, async () => {
  await sandbox.fault('token', sandbox.answer(429, { 'Retry-After': '7' }), null);
  const error = await sandbox
    .manager()
    .getToken({ timeout: 1 })
    .then(assert.fail, (thrown) => thrown);
  assert.ok(error instanceof pay88.RateLimitedError && error instanceof Pay88Error && error instanceof Error);
  assert.deepEqual([error.name, error.code, error.outcome], ['RateLimitedError', 'rate_limited', 'not_sent']);
  assert.deepEqual([error.httpStatus, error.retryable, error.attempt], [429, true, 1]);
  assert.ok(error.retryAfter > 0 && error.retryAfter <= 7);
  assert.ok(error.hint.length > 10 && error.stack.includes('RateLimitedError'));
});

for (const [what, make, code] of [
  ['an unknown option', () => ({ apikey: 'x' }), /no option `apikey`.*/],
  ['an option that is no text', () => ({ caBundle: {} }), /caBundle is a object/],
  ['an option that is not a number', () => ({ timeout: NaN }), /timeout/],
  ['a time that is too long', () => ({ timeout: 30_000 }), /timeout/],
  ['a key of no environment', () => ({ apiKey: 'pk_123' }), /sk_test_/],
  ['a base URL without https', () => ({ baseUrl: 'http://api.88pay.io' }), /http/],
]) {
  test(`${what} is refused by the constructor`, () => {
    const build = () => new TokenManager({ ...sandbox.options, ...make() });
    assert.throws(build, (error) => error instanceof pay88.ConfigInvalidError && code.test(error.message));
  });
}

const circle = new ReadableStream({ start: (controller) => (controller.enqueue({ a: 1 }), controller.close()) });

for (const [what, given, code] of [
  ['an endpoint that is no string', [new URL('https://localhost/api')], 'config_invalid'],
  ['no endpoint', [], 'config_invalid'],
  ['another host', ['//evil.example/api'], 'refused'],
  ['a host behind an @', ['@evil.example/api'], 'refused'],
  ['a suffix of the host', ['.evil.example'], 'refused'],
  ['backslashes', ['\\\\evil.example\\api'], 'refused'],
  ['an absolute URL', ['https://evil.example/api'], 'refused'],
  ['a line end', ['/api/\r\nHost: evil.example'], 'refused'],
  ['the token endpoint', ['/api/auth/token'], 'refused'],
  ['options that are no object', ['/api/echo', 'POST'], 'config_invalid'],
  ['an unknown option', ['/api/echo', { json: {} }], 'config_invalid'],
  ['redirect', ['/api/echo', { redirect: 'follow' }], 'refused'],
  ['dispatcher', ['/api/echo', { dispatcher: {} }], 'refused'],
  ['agent', ['/api/echo', { agent: {} }], 'refused'],
  ['credentials', ['/api/echo', { credentials: 'include' }], 'refused'],
  ['keepalive', ['/api/echo', { keepalive: true }], 'refused'],
  ['a method that is no string', ['/api/echo', { method: 7 }], 'config_invalid'],
  ['a body that is an object', ['/api/echo', { method: 'POST', body: { a: 1 } }], 'config_invalid'],
  ['a body that is a number', ['/api/echo', { method: 'POST', body: 7 }], 'config_invalid'],
  ['a stream of objects', ['/api/echo', { method: 'POST', body: circle }], 'config_invalid'],
  ['a header that is undefined', ['/api/echo', { headers: { 'X-Order': undefined } }], 'config_invalid'],
  ['a header that is a number', ['/api/echo', { headers: { 'X-Order': 7 } }], 'config_invalid'],
  ['headers that are a string', ['/api/echo', { headers: 'X-Order: 7' }], 'config_invalid'],
  ['a header of the credential', ['/api/echo', { headers: { authorization: 'Bearer mine' } }], 'refused'],
  ['a header with a line end', ['/api/echo', { headers: { 'X-Order': 'a\r\nb: c' } }], 'refused'],
  ['a parameter that is an object', ['/api/echo', { params: { a: {} } }], 'config_invalid'],
  ['parameters that are a string', ['/api/echo', { params: 'a=1' }], 'config_invalid'],
  ['a timeout of 0', ['/api/echo', { timeout: 0 }], 'config_invalid'],
  ['a timeout in milliseconds', ['/api/echo', { timeout: 5000 }], 'config_invalid'],
  ['a timeout that is NaN', ['/api/echo', { timeout: NaN }], 'config_invalid'],
  ['a signal that is none', ['/api/echo', { signal: {} }], 'config_invalid'],
  ['safeToRepeat that is a word', ['/api/echo', { safeToRepeat: 'no' }], 'config_invalid'],
]) {
  test(`makeRequest refuses ${what}, and sends nothing`, LIMIT, async () => {
    await assert.rejects(sandbox.manager().makeRequest(...given), (error) => {
      assert.ok(error instanceof Pay88Error, error);
      assert.deepEqual([error.code, error.outcome], [code, 'not_sent'], error.message);
      return error.hint.length > 0;
    });
    assert.deepEqual(await sandbox.control('GET', '/log'), []);
  });
}

test('other methods refuse what cannot be meant', LIMIT, async () => {
  const tm = sandbox.manager();
  assert.throws(() => tm.rotate({ apiKey: 7 }), { code: 'config_invalid' });
  assert.throws(() => tm.rotate({ apiKey: 'no key' }), { code: 'config_invalid' });
  assert.throws(() => tm.invalidate({}), { code: 'config_invalid' });
  await assert.rejects(tm.getToken({ timeout: -1 }), { code: 'config_invalid' });
});
