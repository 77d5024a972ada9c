/**
 * Sends requests of axios. A request gets the pair when its connection is established, and loses it when its head is
 * written.
 *
 * Promises: the pair goes to one origin only, whatever interceptors, proxies and sockets a call was given. No redirect
 * is followed. The pair is in no option, and in the request for no longer than one step, because errors of axios show
 * the options, the request, its agent and the agent's connections.
 */

import * as http from 'node:http';
import * as https from 'node:https';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

import { notSent } from './errors.js';
import type { Token } from './token.js';

/** The options of a call that are read when it is sent. */
export interface RequestConfig {
  /** In milliseconds. axios takes text too. */
  timeout?: number | string | null;
}

type Answered = (answer: http.IncomingMessage) => void;

/** The value of the option `transport` for one call. */
export class Transport {
  readonly #origin: string;
  readonly #token: Token;
  readonly #config: RequestConfig;
  #attached = false;

  constructor(origin: string, token: Token, config: RequestConfig) {
    this.#origin = origin;
    this.#token = token;
    this.#config = config;
  }

  /** The token that was sent. */
  static attached(transport: Transport): Token | null {
    return transport.#attached ? transport.#token : null;
  }

  /** Works as `request` of `node:http`. Throws `refused` if the request would go to anything but the origin itself. */
  request(options: https.RequestOptions, answered: Answered): http.ClientRequest {
    const { request } = options.protocol === 'https:' ? https : http;
    // A request that interceptors have sent elsewhere gets nothing, whoever listens there.
    if (options.socketPath) return request(options, answered);
    // A request to a proxy has a whole URL as its path.
    const proxied = /^\w+:/.test(options.path ?? '');
    const target = new URL(proxied ? options.path! : `${options.protocol}//${authority(options)}`).origin;
    if (target !== this.#origin) return request(options, answered);
    if (proxied) {
      throw notSent(
        'refused',
        'axios would send the call to a proxy in clear text, the session ID included.',
        'Pass `proxy: false`, and the agent of a package that tunnels as `httpsAgent`; or use makeRequest().',
      );
    }
    // Node writes the head of such a request at once, before it has the pair.
    if (Object.keys(options.headers ?? {}).some((name) => /^expect$/i.test(name))) {
      throw notSent(
        'refused',
        'The header Expect is not taken for calls of 88Pay.',
        'It belongs to the connection. Leave it out.',
      );
    }
    // axios limits the time for connecting only for transports of its own. It refuses a value that is not a number.
    const timeout = Number.parseInt(String(this.#config.timeout), 10);
    const sent = request({ ...options, ...(timeout > 0 && { timeout }) }, answered);
    return withPair(sent, this.#token, () => (this.#attached = true));
  }
}

function authority({ hostname, host, port }: https.RequestOptions): string {
  const name = hostname ?? host ?? '';
  return `${name.includes(':') ? `[${name}]` : name}${port ? `:${port}` : ''}`;
}

/** Holds back what is written until the connection is established. Calls `attached` when the request gets the pair. */
function withPair(request: http.ClientRequest, token: Token, attached: () => void): http.ClientRequest {
  const write = request.write.bind(request) as (...given: unknown[]) => boolean;
  const end = request.end.bind(request) as (...given: unknown[]) => http.ClientRequest;
  let held: (() => unknown)[] | null = [];
  let begun = false;
  const send = <T>(one: () => T): T => {
    // If the head was sent early, it was sent without the pair.
    if (begun || request.headersSent) return one();
    begun = true;
    request.setHeader('Authorization', `Bearer ${token.access_token}`);
    request.setHeader('x-session-id', token.session_id);
    attached();
    try {
      return one();
    } finally {
      // Mocks write no head.
      if (request.headersSent) forget(request);
    }
  };
  request.write = (...given: unknown[]) => {
    if (held === null) return send(() => write(...given));
    held.push(() => write(...given));
    return false;
  };
  request.end = (...given: unknown[]) => {
    if (held === null) send(() => end(...given));
    else held.push(() => end(...given));
    return request;
  };
  request.once('socket', (socket: Socket) => {
    const proceed = () => {
      const all = held ?? [];
      held = null;
      if (request.destroyed) return;
      let flowing: unknown = false;
      for (const one of all) flowing = send(one);
      // A writer that was told to wait waits for this event. If the connection is full, Node emits it later.
      if (flowing === true) request.emit('drain');
    };
    const event = awaited(socket);
    if (event) socket.once(event, proceed);
    else proceed();
  });
  return request;
}

/**
 * The event by which a connection says that it is established. A mock may wait for the request before it says anything.
 */
function awaited(socket: Socket): string | undefined {
  if (socket.constructor === TLSSocket) {
    return (socket as TLSSocket & { secureConnecting: boolean }).secureConnecting ? 'secureConnect' : undefined;
  }
  return socket.constructor === Socket && socket.connecting ? 'connect' : undefined;
}

/** Removes the pair from a request whose head was written. */
function forget(request: http.ClientRequest): void {
  // Node removes no header while this text is set. Later it only checks whether the text is empty.
  const sent = request as unknown as { _header: string | null };
  const line = `${request.method} ${request.path} HTTP/1.1`;
  sent._header = null;
  request.removeHeader('Authorization');
  request.removeHeader('x-session-id');
  sent._header = line;
}
