// The sandbox that `pay88 sandbox --exec` has started, and credentials that no other test has used: managers live as long
// as the process.
import { request } from 'node:http';
import { beforeEach } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { TokenManager } from 'pay88';

const { EIGHTY_EIGHT_PAY_BASE_URL: baseUrl, EIGHTY_EIGHT_PAY_CA_BUNDLE: caBundle } = process.env;
const { EIGHTY_EIGHT_PAY_MERCHANT_ID: merchantId, EIGHTY_EIGHT_PAY_SHARE: share } = process.env;
const { PAY88_SANDBOX_CONTROL: controlUrl } = process.env;
let keys = 0;

export const CHARGES = '/api/transactions/charges';

/** A charge that the sandbox accepts. */
export const CHARGE = {
  flow: 'PAYIN',
  method_code: 'NEQUI',
  method_category: 'WALLET',
  amount: 50000,
  currency: 'COP',
  country: 'COL',
  description: 'An order',
  customer_id: 'customer-1',
  notification_url: 'https://shop.example/notify',
};

/** What a test must end within, unless it says otherwise. */
export const LIMIT = { timeout: 60_000 };

export const sandbox = {
  apiKey: '',

  /** Not by fetch, which keeps connections that would keep the process alive. */
  control(method, path, body) {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers = { 'Content-Length': Buffer.byteLength(text) };
      const sent = request(new URL(path, controlUrl), { method, headers, agent: false }, (answer) => {
        let got = '';
        answer.setEncoding('utf8').on('data', (chunk) => (got += chunk));
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve(JSON.parse(got));
          else reject(new Error(`${method} ${path}: ${answer.statusCode} ${got}`));
        });
      });
      sent.on('error', reject);
      sent.end(text);
    });
  },

  async newKey() {
    const key = `sk_test_sandbox_node_${process.pid}_${++keys}`;
    await this.control('POST', '/keys', { merchant_id: merchantId, key });
    return key;
  },

  fault(on, action, times = 1) {
    return this.control('POST', '/faults', { on, times, action });
  },

  set(switches) {
    return this.control('POST', '/switches', switches);
  },

  /** The fault of an answer. */
  answer(status, headers = {}, body = null) {
    return { answer: { status, headers: Object.entries(headers), body } };
  },

  async tokensIssued() {
    return (await this.control('GET', '/counters')).tokens_issued;
  },

  /** Until a request to `target` has arrived. */
  async arrived(target) {
    for (const end = Date.now() + 30_000; ;) {
      const log = await this.control('GET', '/log');
      if (log.some((entry) => entry.target === target)) return;
      if (Date.now() > end) throw new Error(`nothing arrives at ${target}`);
      await sleep(20);
    }
  },

  /** The targets of all calls that arrived. */
  async calls() {
    const log = await this.control('GET', '/log');
    return log.map((entry) => entry.target).filter((target) => target !== '/api/auth/token');
  },

  get options() {
    return { apiKey: this.apiKey, merchantId, baseUrl, caBundle, share };
  },

  manager(options) {
    return new TokenManager({ ...this.options, ...options });
  },

  /** For a process of its own. */
  get environment() {
    const { PATH, LD_LIBRARY_PATH } = process.env;
    const own = Object.entries(this.options).map(([name, value]) => [
      `EIGHTY_EIGHT_PAY_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`,
      value,
    ]);
    return { PATH, ...(LD_LIBRARY_PATH && { LD_LIBRARY_PATH }), ...Object.fromEntries(own) };
  },
};

beforeEach(async () => {
  await sandbox.control('POST', '/reset');
  await sandbox.set({ token_delay: 0, call_delay: 0 });
  sandbox.apiKey = await sandbox.newKey();
});
