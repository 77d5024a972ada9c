// The runners in which users test: what they make of the environment, of timers and of fetch's classes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { sandbox } from './sandbox.mjs';

const directory = fileURLToPath(new URL('runners', import.meta.url));

/** Runs one with nothing but the sandbox in its environment, whose key the tests themselves put there. */
function run(program, args) {
  const { EIGHTY_EIGHT_PAY_API_KEY: KEY_OF_THE_TEST, ...env } = { ...sandbox.environment, CI: 'true', NO_COLOR: '1' };
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`node_modules/${program}`, ...args], {
      cwd: directory,
      env: { ...env, KEY_OF_THE_TEST },
      timeout: 110_000,
    });
    let out = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (out += data));
    child.on('close', (status) => resolve({ status, out }));
  });
}

for (const [name, program, ...args] of [
  ['Jest', 'jest/bin/jest.js', '--rootDir', 'jest'],
  ['Vitest in threads', 'vitest/vitest.mjs', 'run', '--root', 'vitest', '--pool', 'threads'],
  ['Vitest in processes', 'vitest/vitest.mjs', 'run', '--root', 'vitest', '--pool', 'forks'],
]) {
  test(`${name} sees the environment of its tests, and jsdom is told what to do`, { timeout: 120_000 }, async () => {
    const { status, out } = await run(program, args);
    assert.equal(status, 0, out);
    assert.match(out, /2 passed/, out);
  });
}
