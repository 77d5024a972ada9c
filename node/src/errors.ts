/**
 * What is thrown. No error holds a secret.
 */

import { translated } from './names.js';
import type { Failure } from './native.js';

/** The same in all languages. */
export type ErrorCode =
  | 'config_invalid'
  | 'refused'
  | 'credentials_rejected'
  | 'access_denied'
  | 'rate_limited'
  | 'timeout'
  | 'canceled'
  | 'connection_failed'
  | 'tls_failed'
  | 'bad_response'
  | 'http_error'
  | 'internal'
  | 'forked';

/**
 * Whether the request can have reached 88Pay. `not_sent`: it is safe to repeat. `unknown`: it may have arrived, look it up
 * and do not repeat it. `answered`: a complete answer came.
 */
export type Outcome = 'not_sent' | 'unknown' | 'answered';

/** What is known of an error beside its message. What is not given is what an error of the class has most often. */
export interface ErrorDetails {
  code?: ErrorCode | undefined;
  outcome?: Outcome | undefined;
  hint?: string | undefined;
  httpStatus?: number | undefined;
  retryAfter?: number | undefined;
  retryable?: boolean | undefined;
  attempt?: number | undefined;
  response?: Response | undefined;
  cause?: unknown;
}

/**
 * What went wrong, and whether a request can have reached 88Pay. A program can make one from a message, for example
 * `new RateLimitedError('Later.', { retryAfter: 60 })` in a mock.
 */
export class Pay88Error extends Error {
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  /** What to do about it. */
  readonly hint: string;
  /** The HTTP status that caused it. */
  readonly httpStatus: number | undefined;
  /** Seconds to wait before the next try makes sense. */
  readonly retryAfter: number | undefined;
  /** Whether the same call may be tried again later and can then succeed. */
  readonly retryable: boolean;
  /** The number of the token refresh that failed: all who waited for it get the same. */
  readonly attempt: number | undefined;
  /** The answer of an `HttpError`. Not shown where the error is printed. */
  declare readonly response: Response | undefined;

  constructor(message?: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const { response } = details;
    this.code = details.code ?? codeOf(this);
    this.outcome = details.outcome ?? OUTCOMES[this.code] ?? 'unknown';
    this.hint = details.hint ?? '';
    this.httpStatus = details.httpStatus ?? response?.status;
    this.retryAfter = details.retryAfter;
    this.retryable = details.retryable ?? (this.outcome === 'not_sent' && TRANSIENT.has(this.code));
    this.attempt = details.attempt;
    Object.defineProperty(this, 'response', { value: response });
  }

  /** All that a program needs of it, for `JSON.stringify` and `postMessage`; cloning an error keeps its message only. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, hint, outcome, httpStatus, retryAfter, retryable, attempt } = this;
    return { name, code, message, hint, outcome, httpStatus, retryAfter, retryable, attempt };
  }
}

/** For an error of whose request nothing else is known. */
const OUTCOMES: { [code in ErrorCode]?: Outcome } = {
  config_invalid: 'not_sent',
  refused: 'not_sent',
  credentials_rejected: 'not_sent',
  access_denied: 'not_sent',
  rate_limited: 'not_sent',
  tls_failed: 'not_sent',
  http_error: 'answered',
};

const TRANSIENT = new Set<ErrorCode>(['rate_limited', 'timeout', 'connection_failed', 'forked']);

function codeOf(error: Pay88Error): ErrorCode {
  const known = Object.entries(CLASSES).find(([, Class]) => error instanceof Class);
  return (known?.[0] as ErrorCode | undefined) ?? 'internal';
}

/** An option, credential or argument cannot be used; nothing was sent. */
export class ConfigInvalidError extends Pay88Error {}
/** An endpoint, header or option of fetch that would endanger the token; nothing was sent. */
export class RefusedError extends Pay88Error {}
/** The token endpoint answered 401: wrong API key or merchant ID. */
export class CredentialsRejectedError extends Pay88Error {}
/** The token endpoint answered 403: account or address not allowed. */
export class AccessDeniedError extends Pay88Error {}
/** No token may be asked for now; `retryAfter` says when. */
export class RateLimitedError extends Pay88Error {}
/** The time limit passed before there was a result. */
export class TimeoutError extends Pay88Error {}
/** The caller gave up, and `cause` is the signal's reason; or the manager was closed. Its name is that of fetch's. */
export class CanceledError extends Pay88Error {}
/** No connection could be made, or it was cut. */
export class ConnectionFailedError extends Pay88Error {}
/** The TLS handshake failed, or the certificate was not accepted. */
export class TlsFailedError extends Pay88Error {}
/** The answer is not as 88Pay documents it, was cut, or is too large. */
export class BadResponseError extends Pay88Error {}
/** An HTTP status of 400 or above, where `raiseForStatus` asked for an error; `response` is the answer. */
export class HttpError extends Pay88Error {}
/** The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says which. */
export class InternalError extends Pay88Error {}
/** The call was begun before a fork, in the parent process. */
export class ForkedError extends Pay88Error {}

export const CLASSES: Record<ErrorCode, typeof Pay88Error> = {
  config_invalid: ConfigInvalidError,
  refused: RefusedError,
  credentials_rejected: CredentialsRejectedError,
  access_denied: AccessDeniedError,
  rate_limited: RateLimitedError,
  timeout: TimeoutError,
  canceled: CanceledError,
  connection_failed: ConnectionFailedError,
  tls_failed: TlsFailedError,
  bad_response: BadResponseError,
  http_error: HttpError,
  internal: InternalError,
  forked: ForkedError,
};

for (const each of [Pay88Error, ...Object.values(CLASSES)]) {
  const value = each === CanceledError ? 'AbortError' : each.name;
  Object.defineProperty(each.prototype, 'name', { value, writable: true, configurable: true });
}

/** The error of the class that belongs to the code, with the library's words. */
export function errorOf(failure: Failure, more: Pick<ErrorDetails, 'cause' | 'response'> = {}): Pay88Error {
  const code = failure.code as ErrorCode;
  // A later library may have a code more.
  const Class = CLASSES[code] ?? Pay88Error;
  // The message of an answer holds 88Pay's words.
  const message = code === 'config_invalid' ? translated(failure.message) : failure.message;
  return new Class(message, { ...failure, code, hint: translated(failure.hint), ...more });
}

/** An error of this package's own making: nothing was sent. */
export function notSent(code: ErrorCode, message: string, hint: string, cause?: unknown): Pay88Error {
  return new CLASSES[code](message, { outcome: 'not_sent', hint, retryable: false, cause });
}

/** Runs what the compiled part does at once. */
export function rethrown<T>(run: () => T): T {
  try {
    return run();
  } catch (failure) {
    throw isFailure(failure) ? errorOf(failure) : failure;
  }
}

function isFailure(thrown: unknown): thrown is Failure {
  return typeof thrown === 'object' && thrown !== null && !(thrown instanceof Error) && 'outcome' in thrown;
}
