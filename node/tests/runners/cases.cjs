// What holds in every runner of tests. The key of the sandbox is in no environment but that of the test itself.
const assert = require('node:assert/strict');

process.env.EIGHTY_EIGHT_PAY_API_KEY = process.env.KEY_OF_THE_TEST;

/** Where Node is not imitated all works. */
exports.inNode = async ({ TokenManager, raiseForStatus, Pay88Error }) => {
  const tm = new TokenManager();
  assert.equal((await tm.getToken()).expires_in, 60);
  const response = await tm.makeRequest('/api/echo', { method: 'POST', body: new Blob(['{}']) });
  assert.ok(response instanceof Response);
  assert.equal((await raiseForStatus(response).json()).status, 'Success');
  assert.throws(() => new TokenManager({ apiKey: 'no key' }), Pay88Error);
};

/** Where a browser is imitated tokens can be had, and a call says what to do before anything is sent. */
exports.inBrowser = async ({ TokenManager }) => {
  assert.equal(typeof window, 'object');
  const tm = new TokenManager();
  assert.equal((await tm.getToken()).expires_in, 60);
  if (typeof Response === 'undefined') {
    await assert.rejects(tm.makeRequest('/api/echo', { method: 'POST', body: '{}' }), (error) => {
      assert.deepEqual([error.code, error.outcome], ['config_invalid', 'not_sent']);
      return /environment node/.test(error.hint);
    });
  } else {
    assert.equal((await tm.makeRequest('/api/echo', { method: 'POST', body: '{}' })).status, 200);
  }
  return typeof Response;
};
