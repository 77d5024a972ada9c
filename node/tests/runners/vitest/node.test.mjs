// @vitest-environment node
import { test } from 'vitest';

import { inNode } from '../cases.cjs';

test('it works in the environment of Node', async () => inNode(await import('../../../dist/index.mjs')));
