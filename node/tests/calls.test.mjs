// makeRequest, and the Response that it gives.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';

import { CHARGE, CHARGES, LIMIT, sandbox } from './sandbox.mjs';

// POST takes JSON only, there as here.
const echoed = async (tm, options) => (await (await tm.makeRequest('/api/echo', options)).json()).data;

test('a charge works, and its answer is a real Response', LIMIT, async () => {
  const tm = sandbox.manager();
  const res = await tm.makeRequest(CHARGES, { method: 'POST', body: JSON.stringify(CHARGE) });
  assert.ok(res instanceof Response);
  assert.deepEqual([res.status, res.statusText, res.ok], [200, 'OK', true]);
  assert.match(res.headers.get('Content-Type'), /^application\/json/);
  const again = res.clone();
  assert.equal((await res.json()).data.amount, 50000);
  assert.ok((await again.text()).includes('reference'));
  assert.equal((await sandbox.control('GET', '/charges')).length, 1);
});

test('an answer of any status is an answer', LIMIT, async () => {
  const tm = sandbox.manager();
  const res = await tm.makeRequest(CHARGES, { method: 'POST', body: JSON.stringify({ ...CHARGE, currency: 'none' }) });
  assert.ok(!res.ok && [400, 422].includes(res.status));
  assert.equal((await res.json()).status, 'Error');
});

for (const status of [204, 205, 304]) {
  test(`an answer of status ${status} has a null body`, LIMIT, async () => {
    const tm = sandbox.manager();
    await sandbox.fault('calls', sandbox.answer(status, { 'X-Seen': 'yes' }));
    const res = await tm.makeRequest('/api/echo');
    assert.deepEqual([res.status, res.body, res.headers.get('x-seen')], [status, null, 'yes']);
  });
}

test('an answer to HEAD has a null body', LIMIT, async () => {
  const res = await sandbox.manager().makeRequest('/api/echo', { method: 'head' });
  assert.deepEqual([res.status, res.body], [200, null]);
});

test('a status that Response refuses is a bad_response that was answered', LIMIT, async () => {
  const tm = sandbox.manager();
  await sandbox.fault('calls', sandbox.answer(777, {}, 'odd'));
  await assert.rejects(tm.makeRequest('/api/echo'), { code: 'bad_response', outcome: 'answered' });
});

test('a redirect is an answer, and nothing is sent to where it leads', LIMIT, async () => {
  const tm = sandbox.manager();
  await sandbox.fault('calls', sandbox.answer(302, { Location: '/api/echo?elsewhere' }));
  const res = await tm.makeRequest('/api/echo');
  assert.deepEqual([res.status, res.headers.get('location')], [302, '/api/echo?elsewhere']);
  assert.deepEqual(await sandbox.calls(), ['/api/echo']);
});

test('headers of one name come one by one', LIMIT, async () => {
  const tm = sandbox.manager();
  const headers = [
    ['Set-Cookie', 'a=1'],
    ['Set-Cookie', 'b=2'],
    ['X-Text', 'señor'],
  ];
  await sandbox.fault('calls', { answer: { status: 200, headers, body: '{}' } });
  const res = await tm.makeRequest('/api/echo');
  assert.deepEqual(res.headers.getSetCookie?.() ?? ['a=1', 'b=2'], ['a=1', 'b=2']);
  assert.equal(Buffer.from(res.headers.get('x-text'), 'latin1').toString(), 'señor');
});

const form = new FormData();
form.set('name', 'señor');
form.set('file', new Blob(['content'], { type: 'text/plain' }), 'a.txt');

for (const [kind, body, type, text] of [
  ['string', '{"a":"ñ"}', /^application\/json$/, '{"a":"ñ"}'],
  ['Buffer', Buffer.from('ñ'), /^application\/json$/, 'ñ'],
  ['ArrayBuffer', new TextEncoder().encode('ñ').buffer, /^application\/json$/, 'ñ'],
  ['part of an array', new Uint16Array([0x3030, 0x3131, 0x3232]).subarray(1, 2), /^application\/json$/, '11'],
  ['URLSearchParams', new URLSearchParams({ a: 'x y' }), /^application\/x-www-form-urlencoded/, 'a=x+y'],
  ['Blob', new Blob(['text'], { type: 'text/plain' }), /^text\/plain$/, 'text'],
  ['untyped Blob', new Blob(['{}']), /^application\/json$/, '{}'],
  ['FormData', form, /^multipart\/form-data; boundary=/, /señor[^]*a\.txt[^]*content/],
  ['ReadableStream', new Blob(['piece ', 'by piece']).stream(), /^application\/json$/, 'piece by piece'],
  ['Readable', Readable.from(['piece ', Buffer.from('by piece')]), /^application\/json$/, 'piece by piece'],
]) {
  test(`a body that is a ${kind} arrives whole`, LIMIT, async () => {
    const seen = await echoed(sandbox.manager(), { method: 'DELETE', body });
    assert.match(seen.headers['content-type'], type);
    if (typeof text === 'string') assert.equal(seen.body, text);
    else assert.match(seen.body, text);
  });
}

test('headers and parameters arrive as they were given, which is not changed', LIMIT, async () => {
  const tm = sandbox.manager();
  const headers = { 'X-Order': '42', 'content-type': 'text/csv' };
  const params = { a: 1, b: ['x y', '&'], none: null, missing: undefined, flag: true };
  const seen = await echoed(tm, { method: 'delete', body: 'a,b', headers, params });
  assert.deepEqual(headers, { 'X-Order': '42', 'content-type': 'text/csv' });
  assert.deepEqual([seen.method, seen.headers['x-order'], seen.headers['content-type']], ['DELETE', '42', 'text/csv']);
  const query = new URLSearchParams(seen.target.split('?')[1]);
  assert.deepEqual(
    [...query],
    [
      ['a', '1'],
      ['b', 'x y'],
      ['b', '&'],
      ['flag', 'true'],
    ],
  );
  for (const given of [new Headers({ 'X-Order': '7' }), [['X-Order', '7']], new Map([['X-Order', '7']])]) {
    assert.equal((await echoed(tm, { headers: given })).headers['x-order'], '7');
  }
});

test('a charge whose answer is cut is sent once, and its outcome is unknown', LIMIT, async () => {
  const tm = sandbox.manager();
  await sandbox.fault('calls', 'cut_before_answer');
  await assert.rejects(tm.makeRequest(CHARGES, { method: 'POST', body: JSON.stringify(CHARGE) }), {
    code: 'connection_failed',
    outcome: 'unknown',
    retryable: false,
  });
  assert.deepEqual(await sandbox.calls(), [CHARGES]);
});

test('a call that is safe to repeat is repeated', LIMIT, async () => {
  const tm = sandbox.manager();
  await sandbox.fault('calls', 'cut_before_answer');
  const options = { method: 'POST', body: JSON.stringify(CHARGE), safeToRepeat: true };
  assert.equal((await tm.makeRequest(CHARGES, options)).status, 200);
});

test('200 calls whose token was revoked refresh once', LIMIT, async () => {
  const tm = sandbox.manager();
  await tm.getToken();
  await sandbox.control('POST', '/revoke');
  const answers = await Promise.all(Array.from({ length: 200 }, () => tm.makeRequest('/api/echo')));
  assert.ok(answers.every((res) => res.status === 200));
  assert.equal(await sandbox.tokensIssued(), 2);
});

test('a call ends at its timeout, in seconds', LIMIT, async () => {
  const tm = sandbox.manager();
  await tm.getToken();
  await sandbox.fault('calls', 'stall');
  const begun = Date.now();
  await assert.rejects(tm.makeRequest('/api/echo', { timeout: 0.3 }), { code: 'timeout', name: 'TimeoutError' });
  assert.ok(Date.now() - begun < 5000);
});
