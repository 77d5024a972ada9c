// The environment that counts is `process.env` as it is where a manager is made, read by the rules of all languages.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { TokenManager } from 'pay88';

import { LIMIT, sandbox } from './sandbox.mjs';

const index = createRequire(import.meta.url).resolve('pay88');

/** Has a worker of its own environment make a manager; gives what it says. */
function inWorker(env, code = 'tm.merchantId') {
  const program = `const { parentPort } = require('node:worker_threads');
    const { TokenManager } = require(${JSON.stringify(index)});
    (async () => { const tm = new TokenManager(); return ${code}; })()
      .then((told) => parentPort.postMessage(told), (error) => parentPort.postMessage(error.message + ' ' + error.hint));`;
  return new Promise((resolve, reject) => {
    new Worker(program, { eval: true, env }).once('message', resolve).once('error', reject);
  });
}

/** A program whose variables need not be text. */
function run(program, variables) {
  const assignments = Object.entries(variables).map(([name, value]) => `export ${name}=${value}`);
  const shell = [...assignments, 'exec "$0" -e "$1"'].join('\n');
  return new Promise((resolve) => {
    const child = spawn('sh', ['-c', shell, process.execPath, program], {
      env: sandbox.environment,
      timeout: 30_000,
    });
    let out = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (out += data));
    child.on('close', () => resolve(out));
  });
}

const PROGRAM = `const { TokenManager } = require(${JSON.stringify(index)});
  try { console.log(new TokenManager().merchantId) } catch (error) { console.log(error.message) }`;

test('what a program sets in process.env counts from then on', () => {
  const { EIGHTY_EIGHT_PAY_MERCHANT_ID: before } = process.env;
  process.env.EIGHTY_EIGHT_PAY_MERCHANT_ID = 'MCH-COL-SET-1';
  try {
    assert.equal(new TokenManager({ apiKey: sandbox.apiKey }).merchantId, 'MCH-COL-SET-1');
  } finally {
    process.env.EIGHTY_EIGHT_PAY_MERCHANT_ID = before;
  }
});

test('a worker with an environment of its own has that one and no other', LIMIT, async () => {
  const own = { ...sandbox.environment, EIGHTY_EIGHT_PAY_MERCHANT_ID: 'MCH-COL-WORKER-1' };
  assert.equal(await inWorker(own), 'MCH-COL-WORKER-1');
  const { EIGHTY_EIGHT_PAY_API_KEY: _, ...keyless } = own;
  const told = await inWorker(keyless);
  assert.match(told, /^The apiKey is missing\. Pass it, or set the environment variable EIGHTY_EIGHT_PAY_API_KEY\.$/);
  assert.match(await inWorker({ ...own, EIGHTY_EIGHT_PAY_BASEURL: 'x', EIGHTY_EIGHT_PAY_BASE_URL: '' }), /BASE_URL\?/);
});

test('SSL_CERT_FILE of process.env says whom to trust, and a proxy of it is used', LIMIT, async () => {
  const { EIGHTY_EIGHT_PAY_CA_BUNDLE: SSL_CERT_FILE, ...own } = sandbox.environment;
  const token = '(await tm.getToken()).expires_in';
  assert.equal(await inWorker({ ...own, SSL_CERT_FILE }, token), 60);
  // With a key of its own, since the other has a token.
  const other = { ...own, EIGHTY_EIGHT_PAY_API_KEY: await sandbox.newKey() };
  assert.match(String(await inWorker(other, token)), /certificate/i);
  const proxied = await inWorker({ ...sandbox.environment, HTTPS_PROXY: 'socks5://127.0.0.1:1' });
  // A proxy is never used for a server of this machine.
  assert.equal(proxied, sandbox.options.merchantId);
  const far = {
    ...sandbox.environment,
    EIGHTY_EIGHT_PAY_BASE_URL: 'https://pay.example',
    HTTPS_PROXY: 'ftp://127.0.0.1',
  };
  assert.match(await inWorker(far), /proxy/i);
});

test('a blank variable counts as unset, in bodies that are read first too', LIMIT, async () => {
  for (const blank of ['', '  ']) {
    process.env.EIGHTY_EIGHT_PAY_TIMEOUT = blank;
    try {
      const tm = new TokenManager(sandbox.options);
      const body = new Blob(['{}'], { type: 'application/json' });
      assert.equal((await tm.makeRequest('/api/echo', { method: 'POST', body })).status, 200);
    } finally {
      delete process.env.EIGHTY_EIGHT_PAY_TIMEOUT;
    }
  }
});

test('the time for reading a body is that of the options or the environment', LIMIT, async () => {
  process.env.EIGHTY_EIGHT_PAY_TIMEOUT = '0.2';
  try {
    const body = new ReadableStream({ pull: () => new Promise(() => {}) });
    const call = new TokenManager(sandbox.options).makeRequest('/api/echo', { method: 'POST', body });
    await assert.rejects(call, { code: 'timeout', outcome: 'not_sent' });
  } finally {
    delete process.env.EIGHTY_EIGHT_PAY_TIMEOUT;
  }
});

test('a variable that is no UTF-8 is refused by its name', LIMIT, async () => {
  const told = await run(PROGRAM, { EIGHTY_EIGHT_PAY_CA_BUNDLE: '$(printf "/etc/\\377.pem")' });
  assert.equal(told, 'The environment variable EIGHTY_EIGHT_PAY_CA_BUNDLE is not UTF-8.\n');
});
