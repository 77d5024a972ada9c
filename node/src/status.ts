/**
 * The error of an answer that says no, for who asks for it.
 */

import { errorOf, HttpError } from './errors.js';
import type { Failure } from './native.js';

/** What the library says of answers with a status of 400 or above. */
const failures = new WeakMap<Response, Failure>();

export function remember(response: Response, failure: Failure): void {
  failures.set(response, failure);
}

/**
 * Throws an `HttpError` if the status is 400 or above, with 88Pay's own words, the `response` and what to do; else gives the
 * answer back. Its body stays to be read.
 */
export function raiseForStatus(response: Response): Response {
  if (response.status < 400) return response;
  const failure = failures.get(response);
  if (failure) throw errorOf(failure, { response });
  // It was made by a program, or is a clone.
  throw new HttpError(`88Pay answered with status ${response.status}.`, { response });
}
