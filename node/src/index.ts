/**
 * The client for the payment provider 88Pay: holds its short-lived token and makes authenticated calls.
 *
 *     const tm = new TokenManager();
 *     const res = await tm.makeRequest('/api/transactions/charges', { method: 'POST', body: JSON.stringify({ … }) });
 */

import { native } from './native.js';

export {
  AccessDeniedError,
  BadResponseError,
  CanceledError,
  ConfigInvalidError,
  ConnectionFailedError,
  CredentialsRejectedError,
  ForkedError,
  HttpError,
  InternalError,
  Pay88Error,
  RateLimitedError,
  RefusedError,
  TimeoutError,
  TlsFailedError,
  type ErrorCode,
  type ErrorDetails,
  type Outcome,
} from './errors.js';
export type { Body } from './body.js';
export type { Event, EventName } from './events.js';
export { TokenManager, type Stats, type WaitOptions } from './manager.js';
export type { Options, Share } from './options.js';
export type { RequestOptions } from './request.js';
export { raiseForStatus } from './status.js';
export { Token } from './token.js';

/** The version of the library, such as `0.1.0`. */
export const version: string = native.version();
