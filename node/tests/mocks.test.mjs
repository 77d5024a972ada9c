// Servers that tests of users imitate below axios: a call reaches them with the pair, which they may look at.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { authenticate } from 'pay88/axios';

import { AXIOS } from './peers.mjs';
import { LIMIT, sandbox } from './sandbox.mjs';

const require = createRequire(new URL('./runners/', import.meta.url));

for (const [name, axios] of Object.entries(AXIOS)) {
  for (const mock of ['nock-low', 'nock']) {
    const { version } = require(`${mock}/package.json`);
    test(`${name}: a server that nock ${version} imitates gets the call, and the pair`, LIMIT, async () => {
      const nock = require(mock);
      const tm = sandbox.manager();
      const { access_token, session_id } = await tm.getToken();
      if (!nock.isActive()) nock.activate();
      const scope = nock(tm.baseUrl, {
        reqheaders: { authorization: `Bearer ${access_token}`, 'x-session-id': session_id },
      })
        .post('/api/echo', { a: 1 })
        .reply(200, { ok: true });
      try {
        const instance = axios.create({ baseURL: tm.baseUrl, proxy: false, timeout: 5000 });
        authenticate(instance, tm);
        assert.deepEqual((await instance.post('/api/echo', { a: 1 })).data, { ok: true });
        scope.done();
      } finally {
        nock.cleanAll();
        nock.restore();
      }
    });
  }
}
