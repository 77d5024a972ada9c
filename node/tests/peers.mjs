// undici and axios at both ends of the ranges that package.json takes.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import axios from 'axios';
import axiosLow from 'axios-low';
import * as undici from 'undici';
import * as undiciLow from 'undici-low';

const require = createRequire(import.meta.url);
const [major] = process.versions.node.split('.').map(Number);

/** By name: the highest undici needs a newer Node than the lowest that is taken here. */
export const UNDICI = Object.fromEntries(
  [undiciLow, undici, ...(major >= 22 ? [require('./runners/node_modules/undici')] : [])].map((each, index) => {
    const path = [`undici-low`, `undici`, `../tests/runners/node_modules/undici`][index];
    const file = new URL(`../node_modules/${path}/package.json`, import.meta.url);
    return [`undici ${JSON.parse(readFileSync(file, 'utf8')).version}`, each];
  }),
);

export const AXIOS = Object.fromEntries([axiosLow, axios].map((each) => [`axios ${each.VERSION}`, each]));
