/**
 * Makes answers as fetch gives them.
 */

import { STATUS_CODES } from 'node:http';

import { errorOf, notSent } from './errors.js';
import type { AnswerParts } from './native.js';
import { remember } from './status.js';

/** The statuses for which `Response` allows no body. */
const WITHOUT_BODY = new Set([204, 205, 304]);

/** Throws `config_invalid` if fetch's classes are missing, before anything is sent. */
export function checkResponse(): void {
  // To read it would load fetch, which takes longer than a call. So that is done only when an answer is there.
  if (!('Response' in globalThis)) {
    throw notSent(
      'config_invalid',
      'There is no Response here, as in jsdom, which imitates a browser.',
      'Run tests of calls in the environment of Node: begin the file with `/** @jest-environment node */` or `// @vitest-environment node`.',
    );
  }
}

/** A real `Response`. Throws `bad_response` for a status that it refuses. */
export function response({ status, headers, body, failure }: AnswerParts, method: string): Response {
  try {
    const none = method === 'HEAD' || WITHOUT_BODY.has(status);
    const response = new Response(none ? null : body, { status, statusText: STATUS_CODES[status] ?? '' });
    // One by one: this takes fetch a third of the time of a list.
    const lines = headers === '' ? [] : headers.split('\n');
    for (let index = 0; index < lines.length; index += 2) {
      response.headers.append(lines[index]!, lines[index + 1]!);
    }
    if (failure) remember(response, failure);
    return response;
  } catch (cause) {
    const message = `88Pay's answer cannot be made into a Response of fetch (status ${status}).`;
    const hint = 'The request arrived: look the transaction up before it is repeated.';
    const answered = { code: 'bad_response', message, hint, outcome: 'answered', retryable: false } as const;
    throw errorOf({ ...answered, httpStatus: status }, { cause });
  }
}
