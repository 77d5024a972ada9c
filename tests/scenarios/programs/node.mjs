// Scenario steps through the npm package, as promises where several are at once. See ../README.md.
import { subscribe } from 'node:diagnostics_channel';
import { createInterface } from 'node:readline';

import { Pay88Error, TokenManager } from '../../../node/dist/index.mjs';

const events = [];
subscribe('pay88', (event) => events.push(event));
const managers = [];

/** What is named below a prefix: `option.timeout`. */
const below = (step, prefix) =>
  [...step].filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]);

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

const tokenOf = (token) =>
  token && {
    access_token: token.access_token,
    session_id: token.session_id,
    expires_in: token.expires_in,
    valid_for: token.validFor,
  };

const timeoutOf = (step) => (step.has('timeout') ? { timeout: Number(step.get('timeout')) } : undefined);

const DO = {
  new(_, step) {
    const options = below(step, 'option.').map(([name, value]) => [camel(name), value]);
    managers.push(new TokenManager(Object.fromEntries(options)));
    return managers.at(-1).managerId;
  },
  get_token: async (manager, step) => tokenOf(await manager.getToken(timeoutOf(step))),
  peek_token: (manager) => tokenOf(manager.peekToken()),
  async request(manager, step) {
    const response = await manager.makeRequest(step.get('endpoint'), {
      method: step.get('method'),
      body: step.get('body'),
      headers: below(step, 'header.'),
      params: below(step, 'param.'),
      safeToRepeat: step.get('safe_to_repeat') === 'true',
      ...timeoutOf(step),
    });
    return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
  },
  invalidate: (manager) => manager.invalidate(),
  rotate: (manager, step) =>
    manager.rotate({ apiKey: step.get('api_key'), keepOld: step.get('keep_old') === 'true' }) ?? null,
  close: (manager) => manager.close() ?? null,
  stats: (manager) => manager.stats(),
  events: () => events,
};

async function resultOf(step) {
  try {
    return { ok: await DO[step.get('do')](managers[step.get('manager')], step) };
  } catch (error) {
    if (!(error instanceof Pay88Error)) throw error;
    const { code, message, hint, outcome, httpStatus, retryAfter, retryable, attempt } = error;
    const [http_status, retry_after] = [httpStatus ?? null, retryAfter ?? null];
    return { error: { code, message, hint, outcome, http_status, retry_after, retryable, attempt: attempt ?? null } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const step = new URLSearchParams(line);
  const together = Array.from({ length: Number(step.get('at_once')) }, () => resultOf(step));
  console.log(JSON.stringify(await Promise.all(together)));
}
