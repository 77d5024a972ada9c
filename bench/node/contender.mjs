/**
 * A contender written for Node: as many operations as a line of its input says, then what they cost. See
 * src/contender.rs, whose counterpart this is.
 */

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { TokenManager as DocumentedManager } from './documented.mjs';

const CHARGE = '/api/transactions/charges';
const AT_A_TIME = 32;

const told = process.env;
const url = told.BENCH_BASE_URL + CHARGE;
const body = told.BENCH_BODY;
const headers = {
  authorization: `Bearer ${told.BENCH_ACCESS_TOKEN}`,
  'x-session-id': told.BENCH_SESSION_ID,
  'content-type': 'application/json',
  'user-agent': told.BENCH_USER_AGENT,
  accept: '*/*',
};
/** Every contender parses the answer; it is compared by this. */
const reference = JSON.parse(told.BENCH_ANSWER).data.reference;

/** Does the work until the input ends; a tenth of it before each measurement, so that what idled is awake. */
async function serve(work) {
  if (told.BENCH_ONCE) {
    await work(1);
    console.log('answered');
    // Connections that are kept would keep the process.
    process.exit();
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const operations = Number(line);
    await work(Math.floor(operations / 10));
    const [wall, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
    await work(operations);
    const passed = process.hrtime.bigint() - wall;
    const { user, system } = process.cpuUsage(cpu);
    console.log(`${passed} ${(user + system) * 1000}`);
  }
}

function check(status, answer) {
  if (status !== 200 || answer.data.reference !== reference) throw new Error(`status ${status}`);
}

function pay88() {
  const { TokenManager } = createRequire(import.meta.url)('../../node');
  return new TokenManager(told.BENCH_API_KEY, told.BENCH_MERCHANT_ID, told.BENCH_BASE_URL, {
    caBundle: told.BENCH_CA,
    share: told.BENCH_SHARE,
  });
}

function documented() {
  return new DocumentedManager(told.BENCH_API_KEY, told.BENCH_MERCHANT_ID, told.BENCH_BASE_URL);
}

async function readToken(manager) {
  const token = await manager.getToken();
  if (token.access_token !== told.BENCH_ACCESS_TOKEN) throw new Error('another token');
  await serve(async (times) => {
    for (; times > 0; times--) await manager.getToken();
  });
}

/** Each makes a function that charges once. */
const senders = {
  pay88() {
    const manager = pay88();
    return async () => {
      const answer = await manager.makeRequest(CHARGE, { method: 'POST', body });
      check(answer.status, await answer.json());
    };
  },

  documented() {
    const manager = documented();
    return async () => {
      const answer = await manager.makeRequest(CHARGE, { method: 'POST', body });
      check(answer.status, await answer.json());
    };
  },

  fetch() {
    return async () => {
      const answer = await fetch(url, { method: 'POST', body, headers, redirect: 'manual' });
      check(answer.status, await answer.json());
    };
  },

  undici() {
    // Where run.sh has put the peers.
    const { Agent, request } = createRequire(told.BENCH_NODE_PEERS)('undici');
    const dispatcher = new Agent({ allowH2: false, headersTimeout: 30_000, bodyTimeout: 30_000 });
    return async () => {
      const answer = await request(url, { method: 'POST', body, headers, dispatcher });
      check(answer.statusCode, await new Response(await answer.body.arrayBuffer()).json());
    };
  },
};

/** The bytes that are resident after one use and were not before anything was loaded for it. */
async function memory(sender) {
  const before = process.memoryUsage.rss();
  await sender()();
  console.log(process.memoryUsage.rss() - before);
}

async function contend(name) {
  if (name === 'token') return readToken(pay88());
  if (name === 'token-documented') return readToken(documented());
  const [kind, sender = 'pay88'] = name.split('-');
  if (kind === 'memory') {
    return memory(sender === 'token' ? () => () => pay88().getToken() : senders[sender]);
  }
  const send = senders[sender]();
  async function some(times) {
    for (; times > 0; times--) await send();
  }
  if (kind === 'charge') return serve(some);
  if (kind === 'async') {
    return serve((times) => Promise.all(Array.from({ length: AT_A_TIME }, () => some(Math.floor(times / AT_A_TIME)))));
  }
  throw new Error(`there is no contender ${name}`);
}

await contend(process.argv[2]);
