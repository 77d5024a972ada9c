// The examples of the README run as they stand, and compile in projects of users.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

test('the examples of the README compile, in ES modules and in CommonJS modules', { timeout: 240_000 }, () => {
  const directory = mkdtempSync(fileURLToPath(new URL('readme-', import.meta.url)));
  try {
    // What Node gives to a channel has no type.
    const ours = examples.filter((code) => code.includes("from 'pay88'"));
    assert.equal(ours.length, 2);
    ours.forEach((code, index) => {
      writeFileSync(join(directory, `example${index}.mts`), code);
      // A CommonJS module waits in functions alone.
      const [, imports, rest] = code.match(/^((?:import .*\n|\n)*)([^]*)$/);
      const waiting = `${imports}export async function example() {\n${rest}}\n`;
      writeFileSync(join(directory, `example${index}.cts`), waiting);
    });
    const compilerOptions = { module: 'nodenext', noEmit: true, strict: true, types: ['node'] };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*'] }));
    const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', directory], { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [0, '']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
