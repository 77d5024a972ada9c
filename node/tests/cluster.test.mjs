// Workers of cluster: one token for all of them, with nothing set.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { CHARGE, CHARGES, LIMIT, sandbox } from './sandbox.mjs';

const index = createRequire(import.meta.url).resolve('pay88');
const WORKERS = 4;

const PROGRAM = `
const cluster = require('node:cluster');
if (cluster.isPrimary) {
  let ready = 0;
  const told = [];
  cluster.on('message', (worker, message) => {
    if (message === 'ready') {
      // All at once.
      if (++ready === ${WORKERS}) for (const id in cluster.workers) cluster.workers[id].send('go');
      return;
    }
    told.push(message);
    worker.disconnect();
    if (told.length === ${WORKERS}) console.log(JSON.stringify(told));
  });
  for (let i = 0; i < ${WORKERS}; i++) cluster.fork();
} else {
  const { TokenManager } = require(${JSON.stringify(index)});
  const events = [];
  require('node:diagnostics_channel').subscribe('pay88', ({ name, fields }) => events.push([name, fields]));
  const tm = new TokenManager();
  process.once('message', async () => {
    const { access_token } = await tm.getToken();
    const body = JSON.stringify(${JSON.stringify(CHARGE)});
    const { status } = await tm.makeRequest('${CHARGES}', { method: 'POST', body });
    const { share, share_path, share_degraded } = tm.stats();
    await tm.makeRequest('/api/missing');
    while (!events.some(([name]) => name === 'call_failed')) await new Promise((resolve) => setTimeout(resolve, 10));
    process.send({ access_token, status, share, share_path, share_degraded, events });
  });
  process.send('ready');
}`;

test('the workers of a cluster have one token', LIMIT, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'pay88-cluster-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const program = join(directory, 'shop.cjs');
  writeFileSync(program, PROGRAM);
  const { EIGHTY_EIGHT_PAY_SHARE: _, ...environment } = sandbox.environment;
  const child = spawn(process.execPath, [program], { env: environment, timeout: 30_000 });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => (out += data));
  child.stderr.on('data', (data) => (err += data));
  const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
  assert.deepEqual([status, err], [0, '']);
  const told = JSON.parse(out);
  const paths = new Set(told.map((worker) => worker.share_path));
  for (const path of paths) for (const file of [path, `${path}.lock`]) rmSync(file);
  assert.equal(paths.size, 1);
  assert.equal(told.length, WORKERS);
  for (const worker of told) {
    assert.deepEqual([worker.status, worker.share, worker.share_degraded], [200, 'host', null]);
    assert.equal(worker.access_token, told[0].access_token);
    const [, failed] = worker.events.find(([name]) => name === 'call_failed');
    assert.deepEqual([failed.code, failed.status, failed.path], ['http_error', 404, '/api/missing']);
  }
  const { tokens_requested, tokens_issued } = await sandbox.control('GET', '/counters');
  assert.deepEqual([tokens_requested, tokens_issued], [1, 1]);
});
