/**
 * The errors that are thrown. None holds a secret.
 */

import { translated } from './names.js';
import type { Failure } from './native.js';

/** The kinds of errors, which are the same in all languages. */
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
 * Whether the request can have reached 88Pay. `not_sent`: nothing was sent, it is safe to repeat. `unknown`: it may
 * have arrived; look it up and do not repeat it. `answered`: a complete answer came.
 */
export type Outcome = 'not_sent' | 'unknown' | 'answered';

/**
 * What an error has besides its message. A value that is not passed is the one that errors of the class have most
 * often.
 */
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
 * Says what went wrong, and whether a request can have reached 88Pay. Each code has a subclass. A program can make an
 * error from a message, for example `new RateLimitedError('Later.', { retryAfter: 60 })` in a mock.
 */
export class Pay88Error extends Error {
  /** The kind of error, for programs. */
  readonly code: ErrorCode;
  /** Whether the request can have reached 88Pay. */
  readonly outcome: Outcome;
  /** What to do about it. */
  readonly hint: string;
  /** The HTTP status of the answer that caused the error, if an answer did. */
  readonly httpStatus: number | undefined;
  /** Seconds to wait before another try makes sense, if that is known. */
  readonly retryAfter: number | undefined;
  /** Whether you may try the same call again later and it can then succeed. */
  readonly retryable: boolean;
  /** The number of the token request that failed. All callers that waited for it get the same number. */
  readonly attempt: number | undefined;
  /** The answer of an `HttpError`. It is not printed with the error. */
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

  /**
   * Everything that a program needs, for `JSON.stringify` and `postMessage`. Cloning an error keeps only its message.
   */
  toJSON(): Record<string, unknown> {
    const { name, code, message, hint, outcome, httpStatus, retryAfter, retryable, attempt } = this;
    return { name, code, message, hint, outcome, httpStatus, retryAfter, retryable, attempt };
  }
}

/** The outcome of an error if nothing else is known about its request. */
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
/** No new token is allowed now. `retryAfter` says when one is. */
export class RateLimitedError extends Pay88Error {}
/** The time limit passed before there was a result. */
export class TimeoutError extends Pay88Error {}
/**
 * The caller gave up (`cause` is the signal's reason), or the manager was closed. Its name is `AbortError`, as with
 * fetch.
 */
export class CanceledError extends Pay88Error {}
/** No connection could be made, or it was cut. */
export class ConnectionFailedError extends Pay88Error {}
/** The TLS handshake failed, or the certificate was not accepted. */
export class TlsFailedError extends Pay88Error {}
/** The answer is not as 88Pay documents it, was cut, or is too large. */
export class BadResponseError extends Pay88Error {}
/** The answer has an HTTP status of 400 or above, and `raiseForStatus` was called. `response` is the answer. */
export class HttpError extends Pay88Error {}
/**
 * The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says which.
 */
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
  // A later release of the library may have one more code.
  const Class = CLASSES[code] ?? Pay88Error;
  // The message about an answer has 88Pay's own words, which are left unchanged.
  const message = code === 'config_invalid' ? translated(failure.message) : failure.message;
  return new Class(message, { ...failure, code, hint: translated(failure.hint), ...more });
}

/** An error that this package itself makes. Nothing was sent. */
export function notSent(code: ErrorCode, message: string, hint: string, cause?: unknown): Pay88Error {
  return new CLASSES[code](message, { outcome: 'not_sent', hint, retryable: false, cause });
}

/** Runs a function of the compiled part, and throws its failure as an error. */
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
