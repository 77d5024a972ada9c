/**
 * Answers as fetch gives them.
 */

import { STATUS_CODES } from 'node:http';

import { errorOf } from './errors.js';
import type { AnswerParts } from './native.js';

/** Those which `Response` allows no body. */
const WITHOUT_BODY = new Set([204, 205, 304]);

/** A real `Response`. Throws `bad_response` for a status that it refuses. */
export function response({ status, headers, body }: AnswerParts, method: string): Response {
  const pairs: [string, string][] = [];
  for (let index = 0; index < headers.length; index += 2) {
    pairs.push([headers[index]!, headers[index + 1]!]);
  }
  try {
    const none = method === 'HEAD' || WITHOUT_BODY.has(status);
    return new Response(none ? null : body, { status, statusText: STATUS_CODES[status] ?? '', headers: pairs });
  } catch (cause) {
    const message = `88Pay answered with what fetch's Response cannot hold (status ${status}).`;
    const hint = 'The request arrived: look the transaction up before it is repeated.';
    const failure = { code: 'bad_response', message, hint, outcome: 'answered', retryable: false } as const;
    throw errorOf({ ...failure, httpStatus: status }, cause);
  }
}
