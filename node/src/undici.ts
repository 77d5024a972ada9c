/**
 * For programs that keep undici (or pass a dispatcher to fetch): an interceptor that authenticates calls to 88Pay.
 *
 * Promises: the pair (token and session ID) goes to the manager's own origin only, and undici follows no redirect with
 * it. A 401 makes pay88 ask for one new token, however many calls meet it, and the call is repeated once if its body
 * can be sent again. Connections and time limits are undici's, not pay88's.
 */

import type { Dispatcher } from 'undici';

import type { Token, TokenManager } from './index.js';

type Handler = Dispatcher.DispatchHandler;

/**
 * An interceptor, for `new Agent().compose(authenticated(tm), …)`.
 *
 * Compose it first: then interceptors that come after it never see the pair, and it sees every hop of a redirect that
 * they follow. undici's own interceptor for redirects follows none with the pair, wherever it is composed. The
 * interceptor decides by the origin of each request. An `Agent` knows it; a `Client` or `Pool` does not pass it on.
 */
export function authenticated(tm: TokenManager): Dispatcher.DispatcherComposeInterceptor {
  const origin = new URL(tm.baseUrl).origin;
  return (dispatch) => (options, handler) => {
    if (options.origin === undefined || new URL(options.origin).origin !== origin) return dispatch(options, handler);
    const send = (first: boolean) => {
      tm.getToken()
        .then((token) => {
          const repeat = first && repeatable(options.body) ? () => send(false) : null;
          // 0, since an interceptor below this one would take the headers with it.
          const authorized = { ...options, maxRedirections: 0, headers: withPair(options.headers, token) };
          dispatch(authorized, new Authenticated(handler, tm, token, repeat));
        })
        // Nothing was begun that a controller could end.
        .catch((error) => handler.onResponseError?.(null as never, error));
    };
    send(true);
    return true;
  };
}

/** Passes everything on, except a 401 that a newer token may avoid, and what an error shows of the pair. */
class Authenticated implements Handler {
  readonly #handler: Handler;
  readonly #tm: TokenManager;
  readonly #token: Token;
  /** Sends the call once more. */
  readonly #repeat: (() => void) | null;
  #rejected = false;

  constructor(handler: Handler, tm: TokenManager, token: Token, repeat: (() => void) | null) {
    this.#handler = handler;
    this.#tm = tm;
    this.#token = token;
    this.#repeat = repeat;
  }

  onRequestStart(...given: Parameters<NonNullable<Handler['onRequestStart']>>) {
    this.#handler.onRequestStart?.(...given);
  }

  onRequestUpgrade(...given: Parameters<NonNullable<Handler['onRequestUpgrade']>>) {
    this.#handler.onRequestUpgrade?.(...given);
  }

  onResponseStart(...given: Parameters<NonNullable<Handler['onResponseStart']>>) {
    if (given[1] === 401 && this.#repeat) {
      try {
        this.#tm.invalidate(this.#token);
        this.#rejected = true;
        return;
      } catch {
        // Tokens were dropped too often lately: the 401 is the answer.
      }
    }
    this.#handler.onResponseStart?.(...given);
  }

  onResponseData(...given: Parameters<NonNullable<Handler['onResponseData']>>) {
    if (!this.#rejected) this.#handler.onResponseData?.(...given);
  }

  onResponseEnd(...given: Parameters<NonNullable<Handler['onResponseEnd']>>) {
    if (this.#rejected) this.#repeat!();
    else this.#handler.onResponseEnd?.(...given);
  }

  onResponseError(...[controller, error]: Parameters<NonNullable<Handler['onResponseError']>>) {
    this.#handler.onResponseError?.(controller, withoutPair(error, this.#token));
  }
}

function repeatable(body: Dispatcher.DispatchOptions['body']): boolean {
  return body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array;
}

/** As names and values in turn. */
function withPair(headers: Dispatcher.DispatchOptions['headers'], token: Token): string[] {
  const flat: string[] = [];
  const add = (name: string, value: unknown) => {
    if (/^(authorization|x-session-id)$/i.test(name) || value === undefined) return;
    for (const one of Array.isArray(value) ? value : [value]) flat.push(name, String(one));
  };
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let index = 0; index < headers.length; index += 2) add(headers[index]!, headers[index + 1]);
  } else if (headers && Symbol.iterator in headers) {
    for (const [name, value] of headers as Iterable<[string, unknown]>) add(name, value);
  } else {
    for (const [name, value] of Object.entries(headers ?? {})) add(name, value);
  }
  flat.push('authorization', `Bearer ${token.access_token}`, 'x-session-id', token.session_id);
  return flat;
}

/** Removes the pair from an error: a mock that does not know a call shows the headers of the call. */
function withoutPair(error: Error, { access_token, session_id }: Token): Error {
  for (const text of ['message', 'stack'] as const) {
    const shown = error[text]?.replaceAll(access_token, '…').replaceAll(session_id, '…');
    if (shown !== undefined && shown !== error[text]) error[text] = shown;
  }
  return error;
}
