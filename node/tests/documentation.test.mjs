// The sample code of 88Pay's documentation, with only its class replaced by the import.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TokenManager } from 'pay88';

import { sandbox } from './sandbox.mjs';

test('testTokenGeneration() and the usage block run', { timeout: 120_000 }, async () => {
  const lines = [];
  const console = { log: (...words) => lines.push(words.join(' ')), error: (...words) => lines.push(words.join(' ')) };
  Object.assign(process.env, sandbox.environment);

  // Initialize once (singleton pattern)
  const tokenManager = new TokenManager(
    process.env.EIGHTY_EIGHT_PAY_API_KEY,
    process.env.EIGHTY_EIGHT_PAY_MERCHANT_ID,
    process.env.EIGHTY_EIGHT_PAY_BASE_URL || 'https://api-sandbox.88pay.io',
  );

  // Usage
  const payment = await tokenManager.makeRequest('/api/transactions/charges', {
    method: 'POST',
    body: JSON.stringify({/* payment data */}),
  });
  assert.equal(payment.status, 400);

  async function testTokenGeneration() {
    console.log('🧪 Testing token generation...\n');

    // Declared here, since the third test uses it too: in the documentation it is out of scope there.
    let token1;

    // Test 1: Basic generation
    console.log('Test 1: Basic token generation');
    try {
      token1 = await tokenManager.getToken();
      console.log('✅ Token generated successfully');
      console.log('   - Access token length:', token1.access_token.length);
      console.log('   - Session ID format:', token1.session_id.startsWith('sess_'));
    } catch (error) {
      console.error('❌ Failed:', error.message);
    }

    // Test 2: Caching
    console.log('\nTest 2: Token caching');
    let [token2, duration] = [undefined, Infinity];
    // Repeated, since a busy machine may take long for anything.
    for (let tries = 0; tries < 10 && duration >= 100; tries++) {
      const start = Date.now();
      token2 = await tokenManager.getToken();
      duration = Date.now() - start;
    }
    console.log(duration < 100 ? '✅ Cached (fast)' : '❌ Not cached (slow)');
    console.log('   - Duration:', duration + 'ms');
    assert.equal(token2, token1);

    // Test 3: Expiration
    console.log('\nTest 3: Token expiration');
    console.log('⏳ Waiting 51 seconds for token to expire...');
    await new Promise((resolve) => setTimeout(resolve, 51000));
    const token3 = await tokenManager.getToken();
    console.log('✅ New token generated after expiry');
    console.log('   - Different from previous:', token1.access_token !== token3.access_token);
    console.log('\n✨ All tests passed!');
  }

  // Run tests
  await testTokenGeneration();

  const text = lines.join('\n');
  assert.ok(!text.includes('❌'), text);
  assert.match(text, /Access token length: \d{3}/);
  assert.match(text, /Session ID format: true/);
  assert.match(text, /Cached \(fast\)/);
  assert.match(text, /Different from previous: true/);
  assert.equal(await sandbox.tokensIssued(), 2);
});
