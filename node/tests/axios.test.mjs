// What only axios has: ways for a request to go elsewhere, and errors that hold all there is. At both ends of its range.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Agent as HttpsAgent, request as requestOfNode } from 'node:https';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

import { authenticate } from 'pay88/axios';

import { AXIOS } from './peers.mjs';
import { CHARGE, CHARGES, LIMIT, sandbox } from './sandbox.mjs';

const ca = readFileSync(sandbox.options.caBundle);
const httpsAgent = new HttpsAgent({ ca, keepAlive: true });
const json = { 'Content-Type': 'application/json' };
let proxy;
let seen = [];

// Another server, which is a proxy too.
before(async () => {
  proxy = createServer((message, answer) => {
    seen.push(JSON.stringify([message.url, message.rawHeaders]));
    answer.end('{}');
  });
  proxy.on('connect', ({ url, rawHeaders }, socket) => {
    seen.push(JSON.stringify(['CONNECT', rawHeaders]));
    const [, host, port] = /^(.*):(\d+)$/.exec(url);
    const server = connect(port, host.replace(/[[\]]/g, ''), () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      server.pipe(socket).pipe(server);
    });
    server.on('error', () => socket.destroy());
    socket.on('error', () => server.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});

after(() => {
  httpsAgent.destroy();
  proxy.closeAllConnections();
  proxy.close();
});

const elsewhere = () => `http://127.0.0.1:${proxy.address().port}`;

/** With nothing that it was told of the pair. */
function assertNothingSeen({ access_token, session_id }) {
  for (const text of seen) assert.ok(!text.includes(access_token) && !text.includes(session_id), text);
}

/** All that can be had of an error by looking at it. */
function shown(error) {
  const texts = [inspect([error, httpsAgent], { depth: Infinity, showHidden: true, getters: true })];
  const parts = [error, error.config, error.request, error.response, error.cause];
  for (const part of [...parts, error.toJSON?.(), error.response?.config, error.response?.headers]) {
    try {
      texts.push(JSON.stringify(part) ?? '');
    } catch (circular) {
      assert.ok(circular instanceof TypeError);
    }
  }
  return [...texts, String(error), error.stack].join('\n');
}

for (const [name, axios] of Object.entries(AXIOS)) {
  const client = (tm, options) => {
    const instance = axios.create({ httpsAgent, proxy: false, baseURL: tm.baseUrl, ...options });
    authenticate(instance, tm);
    return instance;
  };

  for (const [what, options] of Object.entries({
    "adapter 'fetch'": { adapter: 'fetch' },
    "adapter ['fetch']": { adapter: ['fetch'] },
    "adapter 'xhr'": { adapter: 'xhr' },
    'an adapter of the program': { adapter: async (config) => ({ status: 200, data: '', headers: {}, config }) },
    'a transport of the program': { transport: { request: requestOfNode } },
    'HTTP/2': { httpVersion: 2 },
    'a socket': { socketPath: '/nonexistent/socket' },
  })) {
    test(`${name}: ${what} is refused for 88Pay, with the reason, and left alone for others`, LIMIT, async () => {
      const tm = sandbox.manager();
      await assert.rejects(client(tm, options).get('/api/echo'), (error) => {
        assert.deepEqual([error.code, error.outcome], ['refused', 'not_sent'], error.stack);
        return /axios|socketPath/.test(error.message) && error.hint.length > 10;
      });
      assert.deepEqual(await sandbox.calls(), []);
      if (!/xhr|socket|transport|HTTP/.test(what))
        assert.equal((await client(tm, options).get(elsewhere())).status, 200);
    });
  }

  test(`${name}: of several adapters that of Node is taken`, LIMIT, async () => {
    assert.equal((await client(sandbox.manager(), { adapter: ['fetch', 'http'] }).get('/api/echo')).status, 200);
  });

  for (const [what, change] of Object.entries({
    'the URL': (config) => Object.assign(config, { url: `${elsewhere()}/api/echo` }),
    'the base URL': (config) => Object.assign(config, { baseURL: elsewhere() }),
    'the base URL, whatever the URL': (config) =>
      Object.assign(config, { baseURL: elsewhere(), url: config.baseURL + config.url, allowAbsoluteUrls: false }),
  })) {
    test(`${name}: an interceptor that changes ${what} later takes nothing of the pair along`, LIMIT, async () => {
      const tm = sandbox.manager();
      const instance = axios.create({ httpsAgent, proxy: false, baseURL: tm.baseUrl });
      // The last one is run first.
      instance.interceptors.request.use(change);
      authenticate(instance, tm);
      seen = [];
      assert.equal((await instance.get('/api/echo')).status, 200);
      // Releases that do not know `allowAbsoluteUrls` go to 88Pay.
      assert.equal(seen.length + (await sandbox.calls()).length, 1);
      assertNothingSeen(tm.peekToken());
    });
  }

  test(`${name}: a URL of another origin that belongs below the base URL goes to 88Pay`, LIMIT, async () => {
    const tm = sandbox.manager();
    seen = [];
    await client(tm, { allowAbsoluteUrls: false, validateStatus: null }).get(`${elsewhere()}/api/echo`);
    assert.equal(seen.length + (await sandbox.calls()).length, 1);
    if (tm.peekToken()) assertNothingSeen(tm.peekToken());
  });

  for (const [what, set] of Object.entries({
    'of the environment': () => [{ proxy: undefined }, { HTTPS_PROXY: elsewhere(), NO_PROXY: '', no_proxy: '' }],
    'of an option': () => [{ proxy: { protocol: 'http', host: '127.0.0.1', port: proxy.address().port } }, {}],
  })) {
    test(`${name}: a proxy ${what} never sees the pair`, LIMIT, async () => {
      const tm = sandbox.manager();
      const [options, environment] = set();
      const before = { ...process.env };
      Object.assign(process.env, environment);
      seen = [];
      try {
        const result = await client(tm, options)
          .post(CHARGES, JSON.stringify(CHARGE), { headers: json })
          .then(({ status }) => status)
          .catch((error) => error.code);
        // Those that tunnel may go on.
        if (result === 'refused') assert.deepEqual(seen, []);
        else assert.deepEqual([result, seen.length, seen[0].startsWith('["CONNECT"')], [200, 1, true]);
        assert.equal(result, name === 'axios 1.7.0' ? 'refused' : 200);
      } finally {
        process.env = before;
      }
      assertNothingSeen(tm.peekToken());
    });
  }

  test(`${name}: streams come and go, and a long one waits for the connection`, LIMIT, async () => {
    const instance = client(sandbox.manager());
    let read = 0;
    const body = Readable.from(
      (function* () {
        for (read = 0; read < 200; read++) yield Buffer.alloc(4096, 'x');
      })(),
    );
    const { status, data } = await instance.post('/api/echo', body, { headers: json, responseType: 'stream' });
    assert.deepEqual([status, read], [200, 200]);
    let text = '';
    for await (const chunk of data) text += chunk;
    assert.equal(JSON.parse(text).status, 'Success');
  });

  test(`${name}: the time for connecting is that of the call`, LIMIT, async () => {
    const nowhere = new HttpsAgent({ ca, lookup: () => {} });
    const tm = sandbox.manager({ baseUrl: sandbox.options.baseUrl.replace(/127\.0\.0\.1|\[::1\]/, 'localhost') });
    const begin = performance.now();
    const call = client(tm, { httpsAgent: nowhere, timeout: 300 }).get('/api/echo');
    await assert.rejects(call, { code: 'ECONNABORTED' });
    assert.ok(performance.now() - begin < 10_000);
  });

  test(`${name}: a time limit that is text is a number of milliseconds, as axios reads it`, LIMIT, async () => {
    const instance = client(sandbox.manager(), { timeout: '5000' });
    assert.equal((await instance.get('/api/echo')).status, 200);
    await sandbox.fault('calls', 'stall');
    await assert.rejects(instance.get('/api/echo', { timeout: '300' }), { code: 'ECONNABORTED' });
    // Where the machine was late it has not arrived, and the next one would meet its fault.
    await sandbox.control('DELETE', '/faults');
    await assert.rejects(instance.get('/api/echo', { timeout: 'soon' }), { code: 'ERR_BAD_OPTION_VALUE' });
    assert.equal((await instance.get('/api/echo', { timeout: null })).status, 200);
  });

  test(`${name}: a call that would be sent before it has the pair is refused, and drops no token`, LIMIT, async () => {
    const tm = sandbox.manager();
    const token = await tm.getToken();
    const expecting = { Expect: '100-continue', ...json };
    const refused = (error) => {
      assert.deepEqual([error.code, error.outcome], ['refused', 'not_sent'], error.stack);
      return /expect/i.test(error.message) && error.hint.length > 10;
    };
    for (const headers of [expecting, { ...json, expect: '100-continue' }])
      await assert.rejects(client(tm).post(CHARGES, JSON.stringify(CHARGE), { headers }), refused);
    // Where an interceptor adds it later too.
    const instance = axios.create({ httpsAgent, proxy: false, baseURL: tm.baseUrl });
    instance.interceptors.request.use((config) => Object.assign(config, { headers: expecting }));
    authenticate(instance, tm);
    await assert.rejects(instance.post(CHARGES, JSON.stringify(CHARGE)), refused);
    assert.deepEqual(await sandbox.calls(), []);
    assert.equal(await tm.getToken(), token);
    assert.equal((await client(tm).get(elsewhere(), { headers: expecting })).status, 200);
  });

  test(`${name}: a call whose head an agent has sent early drops no token`, LIMIT, async () => {
    class Hasty extends HttpsAgent {
      addRequest(request, ...given) {
        request.flushHeaders();
        super.addRequest(request, ...given);
      }
    }
    const tm = sandbox.manager();
    const token = await tm.getToken();
    const call = client(tm, { httpsAgent: new Hasty({ ca }), validateStatus: null }).get('/api/echo');
    assert.equal((await call).status, 401);
    assert.equal(await tm.getToken(), token);
  });

  test(`${name}: no error shows the pair, however one looks at it`, LIMIT, async () => {
    const tm = sandbox.manager();
    const instance = client(tm);
    const token = await tm.getToken();
    const controller = new AbortController();
    const errors = [];
    // An interceptor of the program sees errors before anybody else.
    instance.interceptors.response.use(undefined, (error) => {
      errors.push(shown(error));
      return Promise.reject(error);
    });
    const failing = async (action, options, times = 1) => {
      await sandbox.fault('calls', action, times);
      const call = instance.post(CHARGES, JSON.stringify(CHARGE), { headers: json, ...options });
      if (options?.signal) setTimeout(() => controller.abort(), 200);
      const error = await call.then(assert.fail, (thrown) => thrown);
      await sleep(20);
      errors.push(shown(error));
      await sandbox.control('DELETE', '/faults');
    };
    for (const status of [404, 422, 500]) await failing(sandbox.answer(status, {}, { message: 'no' }));
    await failing(sandbox.answer(404, {}, { message: 'no' }), { responseType: 'stream' });
    await failing('cut_after_request');
    await failing('cut_in_body');
    await failing('garbage');
    await failing('stall', { timeout: 300 });
    await failing('stall', { signal: controller.signal });
    await failing({ huge_body: { bytes: 100_000 } }, { maxContentLength: 1000 });
    await failing(sandbox.answer(302, { Location: elsewhere() }));
    const { data } = await (async () => {
      await sandbox.fault('calls', 'cut_in_body');
      return instance.post(CHARGES, JSON.stringify(CHARGE), { headers: json, responseType: 'stream' });
    })();
    errors.push(shown(Object.assign(new Error('of a stream'), { config: data })));
    errors.push(shown(await data.toArray().then(assert.fail, (thrown) => thrown)));
    const nowhere = new HttpsAgent({ ca, lookup: () => {} });
    await failing('stall', { httpsAgent: nowhere, timeout: 300, baseURL: tm.baseUrl });
    assert.ok(errors.length >= 24 && errors.some((text) => text.includes('_httpMessage')));
    for (const secret of [token.access_token, token.session_id]) {
      for (const text of errors) {
        const at = text.indexOf(secret);
        assert.equal(at, -1, text.slice(Math.max(0, at - 500), at + 20));
      }
    }
  });
}
