/** @jest-environment node */
const { inNode } = require('../cases.cjs');

test('it works in the environment of Node', () => inNode(require('../../../dist/index.js')));
