// @vitest-environment jsdom
import { test } from 'vitest';

import { inBrowser } from '../cases.cjs';

test('it loads in jsdom', async () => {
  await inBrowser(await import('../../../dist/index.mjs'));
});
