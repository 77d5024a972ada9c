// The steps of ../README.md in Node: `face.mjs IN OUT`, two descriptors, so that the standard streams may be closed.
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

import { setTimeout } from 'node:timers/promises';

import { Pay88Error, TokenManager } from '../../../node/dist/index.mjs';

const CHARGE = {
  flow: 'PAYIN',
  method_code: 'CARDS',
  method_category: 'CARD',
  amount: 50000,
  currency: 'COP',
  country: 'COL',
  description: 'Order 1001',
  customer_id: 'customer-1',
  notification_url: 'https://example.com/notify',
  return_url: 'https://example.com/return',
};
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const managers = [];
const events = [];

async function degraded() {
  const end = performance.now() + 10_000;
  while (performance.now() < end) {
    const event = events.find(({ name }) => name === 'share_degraded');
    if (event) return event.fields.reason;
    await setTimeout(20);
  }
  return null;
}

async function done(words) {
  if (words[0] === 'new') {
    const options = words.slice(1).map((word) => word.split(/=(.*)/s));
    managers.push(new TokenManager(Object.fromEntries(options.map(([name, value]) => [camel(name), value]))));
    return managers.at(-1).managerId;
  }
  if (words[0] === 'listen') {
    subscribe('pay88', (event) => events.push(event));
    return null;
  }
  if (words[0] === 'open') {
    closeSync(openSync('/dev/null', 'r'));
    return null;
  }
  if (words[0] === 'degraded') return degraded();
  const manager = managers[Number(words[1])];
  if (words[0] === 'token') return (await manager.getToken()).expires_in;
  const body = JSON.stringify(CHARGE);
  return (await manager.makeRequest('/api/transactions/charges', { method: 'POST', body })).status;
}

const [from, to] = process.argv.slice(2).map(Number);
const block = Buffer.alloc(1 << 16);
let rest = '';
for (;;) {
  while (!rest.includes('\n')) {
    const length = readSync(from, block);
    if (length === 0) process.exit(0);
    rest += block.toString('utf8', 0, length);
  }
  const [line] = rest.split('\n', 1);
  rest = rest.slice(line.length + 1);
  let result;
  try {
    result = { ok: await done(line.split(' ')) };
  } catch (error) {
    const { code, outcome, message, hint } = error;
    result = error instanceof Pay88Error ? { code, outcome, message, hint } : { code: 'of_the_system', message };
  }
  writeSync(to, `${JSON.stringify(result)}\n`);
}
