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
    .getToken({ timeout: 5 })
    .then(assert.fail, (thrown) => thrown);
  assert.ok(error instanceof pay88.RateLimitedError && error instanceof Pay88Error && error instanceof Error);
  assert.deepEqual([error.name, error.code, error.outcome], ['RateLimitedError', 'rate_limited', 'not_sent']);
  assert.deepEqual([error.httpStatus, error.retryable, error.attempt], [429, true, 1]);
  assert.ok(error.retryAfter > 0 && error.retryAfter <= 7);
  assert.ok(error.hint.length > 10 && error.stack.includes('RateLimitedError'));
});

test('a program can make an error from a message', () => {
  for (const [code, Class] of Object.entries(CLASSES)) {
    const error = new Class('What happened.');
    assert.deepEqual([error.message, error.code, error.hint], ['What happened.', code, '']);
    assert.ok(['not_sent', 'unknown', 'answered'].includes(error.outcome));
    assert.ok(!(error.retryable && error.outcome !== 'not_sent'), code);
  }
  const cause = new Error('why');
  const details = { outcome: 'answered', hint: 'Wait.', httpStatus: 429, retryAfter: 60, cause };
  const error = new pay88.RateLimitedError('Later.', details);
  assert.deepEqual([error.code, error.outcome, error.hint], ['rate_limited', 'answered', 'Wait.']);
  assert.deepEqual([error.httpStatus, error.retryAfter, error.cause], [429, 60, cause]);
  assert.equal(new pay88.RateLimitedError('Later.').outcome, 'not_sent');
  assert.equal(new pay88.ConnectionFailedError('Cut.').outcome, 'unknown', 'the one that is safe to believe');
  assert.equal(new Pay88Error('x').code, 'internal');
  assert.ok(!('cause' in new Pay88Error('x')));
  class Own extends pay88.TimeoutError {}
  assert.equal(new Own('x').code, 'timeout');
  const response = new Response(null, { status: 404 });
  assert.deepEqual([new pay88.HttpError('x', { response }).httpStatus, new Pay88Error().message], [404, '']);
});

test('an error that a program makes has the same outcome in all languages', () => {
  const table = JSON.parse(readFileSync(new URL('../../tests/default_outcomes.json', import.meta.url), 'utf8'));
  const own = Object.entries(CLASSES).map(([code, Class]) => [code, new Class('x').outcome]);
  assert.deepEqual(Object.fromEntries(own), table);
});

test('code and outcome of an error can be sent to another thread, and written down', () => {
  const error = new pay88.TimeoutError('Too late.', { hint: 'Look it up.' });
  const told = structuredClone(error.toJSON());
  assert.deepEqual(
    [told.name, told.message, told.code, told.outcome, told.hint],
    ['TimeoutError', 'Too late.', 'timeout', 'unknown', 'Look it up.'],
  );
  assert.deepEqual(JSON.parse(JSON.stringify({ error })).error.code, 'timeout');
});

test(
  'raiseForStatus throws the answer as an error, with the words of 88Pay, and gives a good one back',
  LIMIT,
  async () => {
    const tm = sandbox.manager();
    const good = await tm.makeRequest('/api/echo');
    assert.equal(pay88.raiseForStatus(good), good);
    for (const status of [400, 403, 404, 405, 422, 429, 500]) {
      // A pause that is longer than the call may take, so this one is the last answer.
      const headers = status === 429 ? { 'Retry-After': '31' } : {};
      await sandbox.fault('calls', sandbox.answer(status, headers, { message: 'no such thing' }), 5);
      const answer = await tm.makeRequest('/api/echo');
      await sandbox.control('DELETE', '/faults');
      const error = (() => {
        try {
          return assert.fail(pay88.raiseForStatus(answer));
        } catch (thrown) {
          return thrown;
        }
      })();
      assert.ok(error instanceof pay88.HttpError, error);
      assert.deepEqual([error.code, error.outcome, error.httpStatus], ['http_error', 'answered', status]);
      assert.equal(error.response, answer);
      assert.match(error.message, new RegExp(`${status}.*no such thing`));
      assert.match(error.hint, /\.$/);
      assert.equal(error.retryAfter, status === 429 ? 31 : undefined);
      assert.equal((await error.response.json()).message, 'no such thing', 'the body is still to be read');
    }
    const own = new Response(null, { status: 404 });
    assert.throws(() => pay88.raiseForStatus(own), { code: 'http_error', httpStatus: 404, response: own });
  },
);

test('hints have the names that options have here', LIMIT, async () => {
  const hints = [];
  for (const wrong of [{ caBundle: '/nonexistent.pem' }, { merchantId: '' }, { userAgentSuffix: 'a\r\nb: c' }]) {
    assert.throws(
      () => new TokenManager({ ...sandbox.options, ...wrong }),
      (error) => hints.push(`${error.message} ${error.hint}`) > 0,
    );
  }
  assert.match(hints[0], /caBundle/);
  assert.match(hints[1], /merchantId/);
  assert.match(hints[2], /userAgentSuffix/);
  const { translated } = require('../dist/names.js');
  for (const name of native.options().filter((_, index) => index % 2 === 0)) {
    for (const hint of hints) assert.ok(!name.includes('_') || !hint.includes(name), hint);
    const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    assert.equal(translated(`Set ${name}, or EIGHTY_EIGHT_PAY_${name.toUpperCase()}.`).includes(` ${camel},`), true);
  }
  assert.equal(translated('Set EIGHTY_EIGHT_PAY_API_KEY.'), 'Set EIGHTY_EIGHT_PAY_API_KEY.');
});

for (const [given, hint] of [
  [{ api_key: 'x' }, /Did you mean `apiKey`\?/],
  [{ apikey: 'x' }, /Did you mean `apiKey`\?/],
  [{ merchant_id: 'x' }, /Did you mean `merchantId`\?/],
  [{ baseURL: 'x' }, /Did you mean `baseUrl`\?/],
  [{ timout: 3 }, /Did you mean `timeout`\?/],
  [{ colour: 3 }, /^The options are apiKey, /],
]) {
  test(`the constructor tells of ${Object.keys(given)} what was meant`, () => {
    const build = () => new TokenManager({ ...sandbox.options, ...given });
    assert.throws(build, (error) => error.code === 'config_invalid' && hint.test(error.hint));
  });
}

for (const [given, hint] of [
  [{ json: {} }, /^Pass `body: JSON.stringify\(…\)`\. The options are /],
  [{ data: {} }, /^Pass `body`, /],
  [{ query: {} }, /^Pass `params`/],
  [{ safe_to_repeat: true }, /Did you mean `safeToRepeat`\?/],
  [{ header: {} }, /Did you mean `headers`\?/],
]) {
  test(`makeRequest tells of ${Object.keys(given)} what was meant`, LIMIT, async () => {
    const call = sandbox.manager().makeRequest('/api/echo', given);
    await assert.rejects(call, (error) => error.code === 'config_invalid' && hint.test(error.hint));
  });
}

test('a time of milliseconds is refused everywhere, and seconds are named', LIMIT, async () => {
  const tm = sandbox.manager();
  const meant = { code: 'config_invalid', hint: 'Times are in seconds, at most 300: pass 3 for 3000 milliseconds.' };
  await assert.rejects(tm.makeRequest('/api/echo', { timeout: 3000 }), meant);
  await assert.rejects(tm.getToken({ timeout: 3000 }), meant);
  assert.throws(() => sandbox.manager({ timeout: 3000 }), meant);
  assert.throws(() => sandbox.manager({ timeout: '3000' }), meant);
  assert.throws(() => sandbox.manager({ connectTimeout: 3000 }), meant);
  for (const name of ['TIMEOUT', 'CONNECT_TIMEOUT']) {
    const variable = `EIGHTY_EIGHT_PAY_${name}`;
    process.env[variable] = '3000';
    try {
      assert.throws(() => sandbox.manager(), { ...meant, message: new RegExp(variable) });
      // What is passed counts, and not the variable.
      assert.ok(sandbox.manager({ timeout: 20, connectTimeout: '5' }));
      process.env[variable] = '300';
      assert.ok(sandbox.manager());
    } finally {
      delete process.env[variable];
    }
  }
  await assert.rejects(tm.getToken({ timeout: 301 }), { code: 'config_invalid' });
  assert.ok(await tm.getToken({ timeout: 300 }));
  assert.deepEqual(await sandbox.calls(), []);
});

test('what is no time is refused with the longest that is taken', LIMIT, async () => {
  const tm = sandbox.manager();
  for (const timeout of ['soon', 0, -1, Infinity, NaN]) {
    const wrong = { code: 'config_invalid', hint: 'Pass a number of seconds above 0, at most 300.' };
    assert.throws(() => sandbox.manager({ timeout }), wrong);
    assert.throws(() => sandbox.manager({ connectTimeout: timeout }), wrong);
    await assert.rejects(tm.getToken({ timeout }), wrong);
  }
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
  assert.throws(() => tm.rotate({ apiKey: sandbox.apiKey, keep_old: false }), { hint: /`keepOld`/ });
  assert.throws(() => tm.rotate(), { code: 'config_invalid', hint: 'Pass { apiKey, … }.' });
  await assert.rejects(tm.getToken({ timeoutMs: 5 }), { code: 'config_invalid' });
  await assert.rejects(tm.getToken(null), { code: 'config_invalid' });
  await assert.rejects(tm.makeRequest('/api/echo', null), { code: 'config_invalid' });
  assert.throws(() => tm.invalidate({}), { code: 'config_invalid' });
  await assert.rejects(tm.getToken({ timeout: -1 }), { code: 'config_invalid' });
});
