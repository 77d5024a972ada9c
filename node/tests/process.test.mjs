// Processes and worker threads: one manager for all of them, and nobody is kept alive or brought down by it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import * as module from 'pay88';

import { LIMIT, sandbox } from './sandbox.mjs';

const require = createRequire(import.meta.url);
const index = require.resolve('pay88');

/** How a program of its own ended, with what it wrote. */
function run(program, { environment = sandbox.environment, limit = 30_000 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', program], { env: environment, timeout: limit });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    child.on('close', (status, signal) => resolve({ status: signal ?? status, out, err }));
  });
}

/** A worker whose messages are `answers`, and how it ended. */
function worker(code, workerData = sandbox.options) {
  const it = new Worker(`const { parentPort, workerData } = require('node:worker_threads');\n${code}`, {
    eval: true,
    workerData,
  });
  const first = new Promise((resolve, reject) => it.once('message', resolve).once('error', reject));
  const ended = new Promise((resolve, reject) => it.once('exit', resolve).once('error', reject));
  return { it, first, ended };
}

const PAY88 = `const { TokenManager } = require(${JSON.stringify(index)});`;

test('import and require give the same classes', () => {
  const required = require('pay88');
  const names = (of) =>
    Object.keys(of)
      .filter((name) => name !== '__esModule')
      .sort();
  assert.deepEqual(names(module), names(required));
  for (const name of names(required)) assert.equal(module[name], required[name], name);
});

test('the main thread and 20 workers share one manager and one token', LIMIT, async () => {
  const tm = sandbox.manager();
  const code = `${PAY88}
    const tm = new TokenManager(workerData);
    tm.getToken().then((token) => parentPort.postMessage([tm.managerId, token.access_token]));`;
  const workers = Array.from({ length: 20 }, () => worker(code));
  const own = [tm.managerId, (await tm.getToken()).access_token];
  for (const { first, ended } of workers) {
    assert.deepEqual(await first, own);
    assert.equal(await ended, 0, 'a worker with nothing to do ends by itself');
  }
  assert.equal(await sandbox.tokensIssued(), 1);
});

test('a program that only reads tokens does not load the megabytes of Node that calls need', LIMIT, async () => {
  const program = `${PAY88}
    const needed = () => ['http', 'perf_hooks'].filter((name) => process.moduleLoadList.includes('NativeModule ' + name));
    const tm = new TokenManager();
    tm.getToken()
      .then((token) => console.log(token.validFor > 0, needed()))
      .then(() => tm.makeRequest('/api/echo'))
      .then(() => console.log(needed()));`;
  assert.deepEqual(await run(program), { status: 0, out: "true []\n[ 'http', 'perf_hooks' ]\n", err: '' });
});

test('a call is sent before the parts of fetch are loaded that its answer needs', LIMIT, async () => {
  const program = `${PAY88}
    const loaded = () => process.moduleLoadList.includes('NativeModule internal/deps/undici/undici');
    const call = new TokenManager().makeRequest('/api/echo', { method: 'POST', body: '{}', headers: { 'X-Order': '1' } });
    console.log(loaded());
    call.then(({ status }) => console.log(status, loaded()));`;
  assert.deepEqual(await run(program), { status: 0, out: 'false\n200 true\n', err: '' });
});

test('a token that a worker drops is not handed out here again', LIMIT, async () => {
  const tm = sandbox.manager();
  const token = await tm.getToken();
  const { it, first, ended } = worker(`${PAY88}
    const tm = new TokenManager(workerData);
    parentPort.postMessage('ready');
    parentPort.once('message', (done) => {
      const dropped = tm.invalidate();
      Atomics.store(done, 0, dropped ? 1 : 2);
      Atomics.notify(done, 0);
    });`);
  await first;
  const done = new Int32Array(new SharedArrayBuffer(4));
  // From now on a read is one of memory, for a while.
  assert.equal(await tm.getToken(), token);
  it.postMessage(done);
  Atomics.wait(done, 0, 0, 5000);
  assert.equal(done[0], 1);
  assert.notEqual(await tm.getToken(), token);
  assert.equal(await ended, 0);
});

test(
  'workers that load it and end, on their own or by force, with calls pending, never bring the process down',
  { timeout: 120_000 },
  async () => {
    const program = `
    const { Worker } = require('node:worker_threads');
    const code = ${JSON.stringify(`${PAY88}
      const { parentPort } = require('node:worker_threads');
      require('node:diagnostics_channel').subscribe('pay88', () => {});
      const tm = new TokenManager();
      tm.getToken().catch(() => {});
      tm.makeRequest('/api/echo').catch(() => {});
      parentPort.postMessage('begun');
      if (process.argv[2] === 'exit') process.exit(0);`)};
    let left = 200;
    const next = () => {
      if (left-- <= 0) return;
      const kind = ['exit', 'terminate', 'finish'][left % 3];
      const worker = new Worker(code, { eval: true, argv: [kind] });
      worker.on('error', (error) => { throw error; });
      if (kind === 'terminate') worker.on('message', () => worker.terminate());
      worker.on('exit', next);
    };
    for (let each = 0; each < 4; each++) next();
    process.on('exit', () => console.log('all ended'));`;
    await sandbox.set({ call_delay: 0.02 });
    assert.deepEqual(await run(program, { limit: 110_000 }), { status: 0, out: 'all ended\n', err: '' });
  },
);

test('200 exits with work pending are clean and keep their status', { timeout: 120_000 }, async () => {
  await sandbox.set({ call_delay: 0.05 });
  const program = (number) => `${PAY88}
    require('node:diagnostics_channel').subscribe('pay88', () => {});
    const tm = new TokenManager();
    tm.getToken();
    for (let count = 0; count < 20; count++) tm.makeRequest('/api/echo').catch(() => {});
    setTimeout(() => process.exit(${number}), ${number % 40});`;
  let next = 0;
  const runner = async () => {
    while (next < 200) {
      const status = next++ % 100;
      assert.deepEqual(await run(program(status)), { status, out: '', err: '' });
    }
  };
  // Each is a process of its own with a token of its own, were it not for the budget.
  await sandbox.set({ tokens_per_minute: 0, tokens_per_hour: 0 });
  await Promise.all([runner(), runner(), runner(), runner()]);
  await sandbox.set({ tokens_per_minute: 10, tokens_per_hour: 100 });
});

test('an idle process ends at once, and one with a call pending when that is done', LIMIT, async () => {
  await sandbox.set({ call_delay: 0.5 });
  const program = `${PAY88}
    const tm = new TokenManager();
    require('node:diagnostics_channel').subscribe('pay88', () => {});
    tm.getToken().then(() => tm.makeRequest('/api/echo')).then((res) => console.log(res.status, performance.now()));
    process.on('exit', () => console.log('end', performance.now()));`;
  const { status, out, err } = await run(program);
  assert.deepEqual([status, err], [0, '']);
  const [, answered, ended] = /^200 ([\d.]+)\nend ([\d.]+)\n$/.exec(out).map(Number);
  assert.ok(ended - answered < 2000, out);
});

test('loading it starts no thread', LIMIT, async () => {
  const program = `const { readdirSync } = require('node:fs');
    const before = readdirSync('/proc/self/task').length;
    ${PAY88}
    new TokenManager();
    console.log(readdirSync('/proc/self/task').length - before);`;
  assert.deepEqual(await run(program), { status: 0, out: '0\n', err: '' });
});

test('signals are left to the program while threads of the library run', LIMIT, async () => {
  const program = `${PAY88}
    require('node:diagnostics_channel').subscribe('pay88', () => {});
    const tm = new TokenManager();
    process.on('SIGUSR2', () => { console.log('caught'); process.exit(3); });
    tm.getToken().then(() => tm.makeRequest('/api/echo')).then(() => process.kill(process.pid, 'SIGUSR2'));
    setTimeout(() => {}, 20_000);`;
  assert.deepEqual(await run(program), { status: 3, out: 'caught\n', err: '' });
});

test('what is not given comes from the environment', LIMIT, async () => {
  const program = `${PAY88} const tm = new TokenManager(); console.log(tm.merchantId, tm.baseUrl);`;
  const { merchantId, baseUrl } = sandbox.options;
  assert.equal((await run(program)).out, `${merchantId} ${baseUrl}\n`);
  const positional = `${PAY88} console.log(new TokenManager(undefined, 'MCH-COL-1', null, { timeout: 5 }).merchantId);`;
  assert.equal((await run(positional)).out, 'MCH-COL-1\n');
});

test('a missing binary or library, or another platform, is one clear sentence', LIMIT, async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const copy = mkdtempSync(join(tmpdir(), 'pay88-'));
  try {
    for (const part of ['package.json', 'dist', 'native'])
      cpSync(join(root, part), join(copy, part), { recursive: true });
    const sentence = async (before = '') => {
      const program = `${before}; try { require(${JSON.stringify(copy)}) } catch (error) { console.log(error.message) }`;
      const { out, err } = await run(program);
      assert.deepEqual([err, out.split('\n').length], ['', 2], out);
      return out;
    };
    assert.match(
      await sentence(`Object.defineProperty(process, 'platform', { value: 'aix' })`),
      /^pay88 cannot be loaded on aix-\w+: the package holds no binary for it/,
    );
    rmSync(join(copy, 'native', 'libpay88.so.0'));
    assert.match(await sentence(), /^libpay88\.so\.0 is missing/);
    for (const name of readdirSync(join(copy, 'native'))) rmSync(join(copy, 'native', name));
    assert.match(await sentence(), /the package holds no binary for it/);
  } finally {
    rmSync(copy, { recursive: true });
  }
});
