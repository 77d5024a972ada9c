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

/**
 * Milliseconds. The library starts a renewal 3 s before a token's end if it is asked for it then, and may drop one after a
 * 401, so it is asked this often; in between a read is one of memory.
 */
const ASK_EVERY = 100;

type Exchange = typeof import('./request.js') & typeof import('./response.js');

let loaded: Exchange | undefined;

/** What only calls need, with 2 MB of Node: loaded by the first of them, so that programs that only read tokens do without. */
function exchange(): Exchange {
  return (loaded ??= { ...require('./request.js'), ...require('./response.js') } as Exchange);
}

/** How to wait for a token. */
export interface WaitOptions {
  /** Gives the wait up; others that wait go on. */
  signal?: AbortSignal | null | undefined;
  /** Seconds, at most 300; the option `timeout` of the manager unless given. */
  timeout?: number | undefined;
}

/** What a manager has done so far, named as in all languages; times in seconds. Later releases may add some. */
export interface Stats {
  manager_id: number;
  /** Cached tokens handed out by the library; in Node it is asked for one at most every 100 ms. */
  hits: number;
  waits: number;
  refreshes: number;
  tokens_issued: number;
  /** Tokens that another process had asked for and that were taken over. */
  tokens_shared: number;
  refreshes_failed: number;
  calls: number;
  calls_repeated: number;
  /** Calls that ended without an answer. */
  calls_failed: number;
  /** Calls that ended with an answer of that status; of any of 400 to 499, or of 500 and above. */
  calls_answered_401: number;
  calls_answered_403: number;
  calls_answered_404: number;
  calls_answered_422: number;
  calls_answered_429: number;
  calls_answered_4xx: number;
  calls_answered_5xx: number;
  generation: number;
  /** Since the kept token was asked for, by whichever process. */
  token_age: number | null;
  token_valid_for: number;
  /** Tokens that may still be asked for. */
  budget_left_minute: number;
  budget_left_hour: number;
  /** Among how many hosts what was left of them is split, while no store can be used; else 1. */
  budget_split: number;
  /** The remembered failure of the token endpoint. */
  hold: { class: string; left: number } | null;
  /** Who shares the token. */
  share: 'process' | 'host' | 'fleet';
  /** The file in which the processes of the host share it, and why they cannot. */
  share_path: string | null;
  share_degraded: string | null;
  /** The store of the fleet that was used last, without user and password, and why none can be used. */
  store: string | null;
  store_degraded: string | null;
  /** Hosts that share the token, as far as this one knows; 0 without a store. */
  hosts: number;
}

/**
 * Holds 88Pay's token and makes authenticated calls. Objects of the same credentials share one token, in the whole process,
 * its workers included, and, unless `share` is `process`, with all processes of this user on this host.
 */
export class TokenManager {
  readonly #handle: ManagerHandle;
  /** The token that was handed out last, as itself and as a promise. */
  #token: Token | null = null;
  #handedOut: Promise<Token> | null = null;
  #generation = 0;
  /** The number of the token to use, as far as any thread of Node knows. */
  readonly #generationCell: Float64Array;
  /** Of `Date.now()`, between which the cell is enough: after a clock was set or a host slept the library is asked. */
  #from = 0;
  #until = 0;

  /** What is not given comes from the environment. Throws `config_invalid`. */
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
    this.#generationCell = this.#handle.generationCell();
    listenIfWanted(completions);
  }

  /** Equal numbers mean the same manager of this process. */
  get managerId(): number {
    return this.#handle.id;
  }

  /** The normalised base URL. */
  get baseUrl(): string {
    return this.#handle.baseUrl;
  }

  get merchantId(): string {
    return this.#handle.merchantId;
  }

  /**
   * The token: the cached one, the same object as long as it is to be used, else it waits for a new one. However many wait,
   * one is asked for. Rejects with a `Pay88Error`.
   */
  getToken(options?: WaitOptions): Promise<Token> {
    if (options !== undefined) return this.#wait(options);
    const now = Date.now();
    const asked = now >= this.#from && now < this.#until;
    if ((asked && this.#generationCell[0] === this.#generation) || this.#askLibrary(now)) return this.#handedOut!;
    return this.#wait({});
  }

  /** The cached token, or null if there is none that is valid. Never waits. */
  peekToken(): Token | null {
    const parts = rethrown(() => this.#handle.peek());
    return parts === null ? null : this.#keep(parts);
  }

  /**
   * Makes an authenticated call. Resolves with a `Response` of any status. Rejects with a `Pay88Error`, whose `outcome` says
   * whether the request can have reached 88Pay.
   */
  makeRequest(endpoint: string, options: RequestOptions = {}): Promise<Response> {
    // No async function: it would make each call wait its turn three times more.
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

  /** What the manager has done so far. */
  stats(): Stats {
    return JSON.parse(rethrown(() => this.#handle.statsJson())) as Stats;
  }

  /**
   * Drops the cached token, for example when another program has revoked it; if one is given, only that one. Says whether
   * there was one to drop. Throws `rate_limited` if that was done too often lately: the token stays then.
   */
  invalidate(token?: Token): boolean {
    listenIfWanted(completions);
    if (token === undefined) return rethrown(() => this.#handle.invalidate());
    if (!(token instanceof Token)) throw notSent('config_invalid', 'That is no token.', 'Pass one of getToken().');
    return rethrown(() => this.#handle.invalidate(Token.generation(token)));
  }

  /**
   * Replaces the API key, for all who use this manager in the process. Unless `keepOld` is false the old key is used for up
   * to 24 hours while 88Pay does not accept the new one.
   */
  rotate(keys: { apiKey: string; keepOld?: boolean }): void {
    listenIfWanted(completions);
    checkNames(keys, ['apiKey', 'keepOld']);
    const { apiKey, keepOld = true } = keys;
    if (typeof apiKey !== 'string') throw notSent('config_invalid', 'The apiKey is no string.', 'Pass the new key.');
    rethrown(() => this.#handle.rotate(apiKey, Boolean(keepOld)));
  }

  /** Ends the pending calls of this object with `canceled` and refuses later ones. Other objects go on. */
  close(): void {
    this.#until = 0;
    this.#handle.close();
  }

  /** Asks the library whether there is a token to hand out. */
  #askLibrary(now: number): boolean {
    const current = this.#handle.current(this.#generation);
    if (current === false) return false;
    if (current !== true) this.#keep(current);
    this.#from = now;
    this.#until = now + Math.min(ASK_EVERY, this.#token!.validFor * 1000);
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
