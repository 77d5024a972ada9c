/** @jest-environment jsdom */
const { inBrowser } = require('../cases.cjs');

test('it loads in jsdom, and a call says what to do', async () => {
  expect(await inBrowser(require('../../../dist/index.js'))).toBe('undefined');
});
