/**
 * Managers: tokens, and calls that are authenticated with them.
 */

import { inspect } from 'node:util';

import { call, completions } from './calls.js';
import { notSent, rethrown } from './errors.js';
import { listenIfWanted } from './events.js';
import { type ManagerHandle, native, type RequestParts, type TokenParts } from './native.js';
import { checkNames, checkTimeout, environment, flattened, type Options } from './options.js';
import type { RequestOptions } from './request.js';
import { Token } from './token.js';

type Exchange = typeof import('./request.js') & typeof import('./response.js');

let loaded: Exchange | undefined;

/**
 * What only calls need, together with 2 MB of Node. The first call loads it, so programs that only read tokens do
 * without.
 */
function exchange(): Exchange {
  return (loaded ??= { ...require('./request.js'), ...require('./response.js') } as Exchange);
}

/** How long to wait for a token. */
export interface WaitOptions {
  /** Ends the wait of this caller. Other callers go on waiting. */
  signal?: AbortSignal | null | undefined;
  /** Seconds, at most 300. Without it, the option `timeout` of the manager. */
  timeout?: number | undefined;
}

/**
 * What a manager has done so far, and its present state. The names are the same in all languages. Times are in seconds.
 * Later releases may add some.
 */
export interface Stats {
  manager_id: number;
  /** How often a cached token was handed out. */
  hits: number;
  /** How often a caller had to wait for a token. */
  waits: number;
  /** Attempts to get a new token. */
  refreshes: number;
  /** Tokens that 88Pay granted to this manager. */
  tokens_issued: number;
  /** Tokens that were taken over after another process had asked for them. */
  tokens_shared: number;
  /** Attempts that brought no token. */
  refreshes_failed: number;
  /** Calls that were begun. */
  calls: number;
  /** How often a call was sent again. */
  calls_repeated: number;
  /** Calls that ended without an answer. */
  calls_failed: number;
  /** Calls that ended with that status; `4xx` is any of 400 to 499, `5xx` is 500 and above. */
  calls_answered_401: number;
  calls_answered_403: number;
  calls_answered_404: number;
  calls_answered_422: number;
  calls_answered_429: number;
  calls_answered_4xx: number;
  calls_answered_5xx: number;
  /** The number of the cached token; 0 if there is none. */
  generation: number;
  /** How long ago the cached token was asked for, by whichever process. */
  token_age: number | null;
  /** For how long the cached token will still be handed out. */
  token_valid_for: number;
  /** Tokens that may still be asked for in this minute. */
  budget_left_minute: number;
  /** Tokens that may still be asked for in this hour. */
  budget_left_hour: number;
  /** Among how many hosts the budget is divided while no store can be used; otherwise 1. */
  budget_split: number;
  /**
   * The failure of the token endpoint that is remembered: its kind, and for how long it still stops new token requests.
   */
  hold: { class: string; left: number } | null;
  /** Who shares the token. */
  share: 'process' | 'host' | 'fleet';
  /** The file in which the processes of the host share it. */
  share_path: string | null;
  /** Why the processes of the host cannot share. */
  share_degraded: string | null;
  /** The store of the fleet that was used last, without user and password. */
  store: string | null;
  /** Why no store can be used. */
  store_degraded: string | null;
  /** How many hosts share the token, as far as this one knows; 0 without a store. */
  hosts: number;
}

/**
 * Holds 88Pay's token and makes authenticated calls.
 *
 * Objects with the same credentials share one token in the whole process, workers included. Unless `share` is
 * `process`, they also share it with all processes of this user on this host.
 *
 *     const tm = new TokenManager(); // the credentials come from the environment
 *     const res = await tm.makeRequest('/api/balance', { method: 'POST', params: { id: tm.merchantId } });
 */
export class TokenManager {
  readonly #handle: ManagerHandle;
  readonly #isCurrent: () => boolean;
  /** The token that was handed out last, as itself and as a promise. */
  #token: Token | null = null;
  #handedOut: Promise<Token> | null = null;
  #generation = 0;

  /** An option that is not passed comes from the environment. Throws `config_invalid`. */
  constructor(options?: Options);
  constructor(
    apiKey?: string | null,
    merchantId?: string | null,
    baseUrl?: string | null,
    options?: Omit<Options, 'apiKey' | 'merchantId' | 'baseUrl'>,
  );
  constructor(
    first?: Options | string | null,
    merchantId?: string | null,
    baseUrl?: string | null,
    rest?: Options | null,
  ) {
    const options =
      typeof first === 'object' && first !== null
        ? first
        : { ...rest, apiKey: first, merchantId: merchantId, baseUrl: baseUrl };
    const flat = flattened(options);
    this.#handle = rethrown(() => new native.ManagerHandle(flat, environment()));
    this.#isCurrent = rethrown(() => this.#handle.isCurrent);
    listenIfWanted(completions);
  }

  /** The number of the manager behind this object. Equal numbers mean the same manager of this process. */
  get managerId(): number {
    return this.#handle.id;
  }

  /** The base URL, normalised. */
  get baseUrl(): string {
    return this.#handle.baseUrl;
  }

  /** The merchant ID. */
  get merchantId(): string {
    return this.#handle.merchantId;
  }

  /**
   * Resolves with the token. If there is a valid one in the cache, it resolves at once, and with the same object as
   * long as that token is to be used. Otherwise it waits for a new one. However many callers wait, one token is asked
   * for. Rejects with a `Pay88Error`.
   */
  getToken(options?: WaitOptions): Promise<Token> {
    if (options !== undefined) return this.#wait(options);
    if (this.#isCurrent() || this.#askLibrary()) return this.#handedOut!;
    return this.#wait({});
  }

  /** Returns the cached token, or null if there is no valid one. Never waits. */
  peekToken(): Token | null {
    const parts = rethrown(() => this.#handle.peek());
    return parts === null ? null : this.#keep(parts);
  }

  /**
   * Makes an authenticated call. Resolves with a `Response` of any status. Rejects with a `Pay88Error`; its `outcome`
   * says whether the request can have reached 88Pay.
   */
  makeRequest(endpoint: string, options: RequestOptions = {}): Promise<Response> {
    // Not an async function: that would make each call wait for three more turns of the event loop.
    try {
      listenIfWanted(completions);
      exchange().checkResponse();
      const parts = exchange().requestParts(endpoint, options, () => this.#handle.timeout);
      const signal = options.signal ?? undefined;
      return parts instanceof Promise ? parts.then((read) => this.#send(read, signal)) : this.#send(parts, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(parts: RequestParts, signal: AbortSignal | undefined): Promise<Response> {
    const { method, endpoint, body, safeToRepeat, timeout, headers, params } = parts;
    return call(
      signal,
      (number, cancelable) =>
        this.#handle.send(
          completions,
          number,
          cancelable,
          method,
          endpoint,
          body,
          safeToRepeat,
          timeout,
          headers,
          params,
        ),
      (delivery) => exchange().response(delivery.answer!, method),
    );
  }

  /** Returns what the manager has done so far, and its present state. */
  stats(): Stats {
    return JSON.parse(rethrown(() => this.#handle.statsJson())) as Stats;
  }

  /**
   * Drops the cached token, for example because another program has revoked it. If a token is passed, the cached token
   * is dropped only if it is that one. Returns whether there was one to drop. Throws `rate_limited` if tokens were
   * dropped too often lately; the token then stays.
   */
  invalidate(token?: Token): boolean {
    listenIfWanted(completions);
    if (token === undefined) return rethrown(() => this.#handle.invalidate());
    if (!(token instanceof Token)) throw notSent('config_invalid', 'That is no token.', 'Pass one of getToken().');
    return rethrown(() => this.#handle.invalidate(Token.generation(token)));
  }

  /**
   * Replaces the API key, for everything in the process that uses this manager. Unless `keepOld` is false, the old key
   * is used for up to 24 hours while 88Pay does not accept the new one.
   */
  rotate(keys: { apiKey: string; keepOld?: boolean }): void {
    listenIfWanted(completions);
    checkNames(keys, ['apiKey', 'keepOld']);
    const { apiKey, keepOld = true } = keys;
    if (typeof apiKey !== 'string') throw notSent('config_invalid', 'The apiKey is no string.', 'Pass the new key.');
    rethrown(() => this.#handle.rotate(apiKey, Boolean(keepOld)));
  }

  /** Ends the pending calls of this object with `canceled`, and refuses later ones. Other objects are not affected. */
  close(): void {
    this.#handle.close();
  }

  /** Asks the library whether there is a token to hand out. */
  #askLibrary(): boolean {
    const current = this.#handle.current(this.#generation);
    if (current === false) return false;
    if (current !== true) this.#keep(current);
    return true;
  }

  async #wait(options: WaitOptions): Promise<Token> {
    listenIfWanted(completions);
    checkNames(options, ['signal', 'timeout']);
    const { signal, timeout } = options;
    checkTimeout(timeout);
    return call(
      signal ?? undefined,
      (number, cancelable) => this.#handle.getToken(completions, number, cancelable, timeout),
      (delivery) => this.#keep(delivery.token!),
    );
  }

  /** One token is one object. */
  #keep(parts: TokenParts): Token {
    if (this.#token !== null && parts.generation === this.#generation) return this.#token;
    const token = Token.of(parts);
    // Of two that are delivered the wrong way round the newer stays.
    if (parts.generation > this.#generation) {
      this.#token = token;
      this.#handedOut = Promise.resolve(token);
      this.#generation = parts.generation;
    }
    return token;
  }

  /** @internal */
  [inspect.custom](): string {
    return `TokenManager ${this.managerId} { ${this.merchantId} at ${this.baseUrl} }`;
  }

  toJSON(): { managerId: number; merchantId: string; baseUrl: string } {
    return { managerId: this.managerId, merchantId: this.merchantId, baseUrl: this.baseUrl };
  }
}
