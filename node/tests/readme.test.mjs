// The examples of the README run as they stand.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { LIMIT, sandbox } from './sandbox.mjs';

const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const examples = [...text.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, code]) => code);

function run(code) {
  const options = { env: sandbox.environment, cwd: fileURLToPath(new URL('.', import.meta.url)), timeout: 30_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', code], options, (error, out, err) =>
      resolve({ status: error?.code ?? 0, out, err }),
    );
  });
}

test('every example of the README runs', LIMIT, async () => {
  assert.equal(examples.length, 3);
  for (const code of examples) {
    const { status, err } = await run(code);
    assert.deepEqual([status, err], [0, ''], code);
  }
  assert.match((await run(examples[0])).out, /^200 [\w-]+\n$/);
});
