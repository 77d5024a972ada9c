/**
 * Turns an answer of status 400 or above into an error, for programs that ask for it.
 */

import { errorOf, HttpError } from './errors.js';
import type { Failure } from './native.js';

/** What the library says about answers with a status of 400 or above. */
const failures = new WeakMap<Response, Failure>();

export function remember(response: Response, failure: Failure): void {
  failures.set(response, failure);
}

/**
 * Throws an `HttpError` if the status is 400 or above. The error has 88Pay's own words, the `response`, and a hint.
 * Otherwise returns the answer. The body can still be read.
 */
export function raiseForStatus(response: Response): Response {
  if (response.status < 400) return response;
  const failure = failures.get(response);
  if (failure) throw errorOf(failure, { response });
  // A program made this answer, or it is a clone.
  throw new HttpError(`88Pay answered with status ${response.status}.`, { response });
}
