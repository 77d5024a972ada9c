/**
 * Checks the arguments of `makeRequest`, and turns them into what the compiled part takes. Options of fetch that would
 * weaken a promise are refused with the reason. An unknown option is never ignored.
 */

import { type Body, type ReadBody, readBody, simpleBody } from './body.js';
import { notSent } from './errors.js';
import type { RequestParts } from './native.js';
import { checkNames, checkTimeout } from './options.js';

type Scalar = string | number | boolean | bigint;

/** The options of a call, named as fetch names them. */
export interface RequestOptions {
  /** The default is GET. */
  method?: string | undefined;
  /**
   * The headers of the credential and of the connection belong to the library; a call that has one of them is refused.
   */
  headers?: Headers | Record<string, string> | Iterable<readonly [string, string]> | undefined;
  /**
   * Sent as `application/json` unless it is a form or a blob, or a header says otherwise. A stream is read to its end
   * first.
   */
  body?: Body | null | undefined;
  /** For the query. `null` and `undefined` leave a parameter out, an array repeats it. */
  params?:
    | URLSearchParams
    | Record<string, Scalar | null | undefined | readonly Scalar[]>
    | Iterable<readonly [string, Scalar]>
    | undefined;
  /** Ends the call with `canceled`. The `cause` of that error is the signal's reason. */
  signal?: AbortSignal | null | undefined;
  /** Seconds for the whole call, including the wait for a token; at most 300. Without it, the manager's `timeout`. */
  timeout?: number | undefined;
  /** True says that sending the call twice does no harm, so that it is repeated after a fault. Never for a charge. */
  safeToRepeat?: boolean | undefined;
  /** Accepted because fetch needs it. A stream is always read before anything is sent. */
  duplex?: 'half' | undefined;
}

const TAKEN = new Set(['method', 'headers', 'body', 'params', 'signal', 'timeout', 'safeToRepeat', 'duplex']);

/** Names that other clients give to these options. */
const OTHERS: Record<string, string> = {
  json: 'Pass `body: JSON.stringify(…)`.',
  data: 'Pass `body`, with JSON.stringify(…) for an object.',
  query: 'Pass `params`.',
  qs: 'Pass `params`.',
  searchParams: 'Pass `params`.',
};

const REFUSED: Record<string, string> = {
  redirect: 'Redirects are never followed, since they would carry the token elsewhere: the answer is given as it is.',
  dispatcher: 'Connections are the library\'s, so that none leads elsewhere: use the options "proxy" and "caBundle".',
  agent: 'Connections are the library\'s, so that none leads elsewhere: use the options "proxy" and "caBundle".',
  credentials: 'There are no cookies: the token and session ID are attached by the library.',
  mode: 'There is no page whose origin could matter.',
  cache: 'Nothing but the token is ever cached.',
  referrer: 'No referrer is sent.',
  referrerPolicy: 'No referrer is sent.',
  integrity: 'The certificate of 88Pay is always verified.',
  keepalive: 'Connections are kept by the library: use the option "idleTimeout".',
  priority: 'All calls are equal.',
  window: 'There is none.',
};

/** Checks everything at once that needs no waiting. Only a body that has to be read is waited for. */
export function requestParts(
  endpoint: string,
  options: RequestOptions,
  defaultTimeout: () => number,
): RequestParts | Promise<RequestParts> {
  if (typeof endpoint !== 'string') {
    throw notSent('config_invalid', 'The endpoint is no string.', 'Pass a path such as "/api/balance".');
  }
  for (const name of Object.keys(options ?? {})) {
    if (Object.hasOwn(REFUSED, name)) {
      throw notSent('refused', `The option \`${name}\` of fetch is not taken.`, REFUSED[name]!);
    }
  }
  checkNames(options, TAKEN, OTHERS);
  const { method = 'GET', timeout, safeToRepeat = false, signal } = options;
  if (typeof method !== 'string') throw notSent('config_invalid', 'The method is no string.', 'Pass "POST".');
  if (typeof safeToRepeat !== 'boolean') {
    throw notSent('config_invalid', 'safeToRepeat is neither true nor false.', 'Leave it out for a charge.');
  }
  if (!(signal === undefined || signal === null || signal instanceof AbortSignal)) {
    throw notSent('config_invalid', 'The signal is no AbortSignal.', 'Pass the signal of an AbortController.');
  }
  checkTimeout(timeout);
  const parts: RequestParts = {
    method: /^(delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method,
    endpoint,
    body: undefined,
    safeToRepeat,
    timeout,
    headers: flatHeaders(options.headers),
    params: flatParams(options.params),
  };
  if (options.body === undefined || options.body === null) return parts;
  const simple = simpleBody(options.body);
  if (simple) return withBody(parts, simple);
  const end = performance.now() + (timeout ?? defaultTimeout()) * 1000;
  return readBody(options.body, end, signal ?? undefined).then((read) => {
    // The library refuses 0, which is where the time is over.
    parts.timeout = Math.max(0.001, (end - performance.now()) / 1000);
    return withBody(parts, read);
  });
}

function withBody(parts: RequestParts, { content, type }: ReadBody): RequestParts {
  parts.body = content;
  const headers = parts.headers ?? [];
  const given = headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type');
  if (type !== null && !given) parts.headers = [...headers, 'content-type', type];
  return parts;
}

function flatHeaders(headers: RequestOptions['headers']): string[] | undefined {
  if (headers === undefined || headers === null) return undefined;
  if (typeof headers !== 'object') throw wrong('headers', 'an object, an array of pairs or Headers');
  const flat: string[] = [];
  for (const pair of Symbol.iterator in headers ? headers : Object.entries(headers)) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrong('headers', 'pairs of name and value');
    // fetch would send the words "undefined" and "[object Object]".
    if (!pair.every((text) => typeof text === 'string')) throw wrong('headers', 'names and values that are strings');
    flat.push(pair[0], pair[1]);
  }
  return flat;
}

function flatParams(params: RequestOptions['params']): string[] | undefined {
  if (params === undefined || params === null) return undefined;
  if (typeof params !== 'object') throw wrong('params', 'an object, an array of pairs or URLSearchParams');
  const flat: string[] = [];
  for (const pair of Symbol.iterator in params ? params : Object.entries(params)) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrong('params', 'pairs of name and value');
    for (const value of Array.isArray(pair[1]) ? pair[1] : [pair[1]]) {
      if (value === undefined || value === null) continue;
      if (typeof pair[0] !== 'string' || !['string', 'number', 'boolean', 'bigint'].includes(typeof value)) {
        throw wrong('params', 'strings, numbers and booleans');
      }
      flat.push(pair[0], String(value));
    }
  }
  return flat;
}

function wrong(name: string, wanted: string) {
  return notSent('config_invalid', `The ${name} are not ${wanted}.`, 'Pass what fetch takes.');
}
