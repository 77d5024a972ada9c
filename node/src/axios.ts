/**
 * For programs that keep axios: interceptors that authenticate calls to 88Pay.
 *
 * Promises: the pair (token and session ID) goes to the manager's own origin only, and no redirect is followed from
 * there. Nothing that axios keeps or throws has the pair. A 401 makes pay88 ask for one new token, however many calls
 * meet it, and the call is repeated once if its body can be sent again. Connections and time limits are axios's, not
 * pay88's.
 */

import { notSent } from './errors.js';
import type { Token, TokenManager } from './index.js';
import { type RequestConfig, Transport } from './transport.js';

interface Interceptors {
  use(fulfilled: (value: any) => any, rejected?: (error: any) => any): number;
  eject(id: number): void;
}

/** The parts of an axios instance that are used. axios's own type differs between ES modules and CommonJS modules. */
export interface Axios {
  interceptors: { request: Interceptors; response: Interceptors };
  getUri(config?: any): string;
  request(config: any): Promise<any>;
}

/** The options of a call that are read and set. */
interface Config extends RequestConfig {
  adapter?: unknown;
  data?: unknown;
  httpVersion?: unknown;
  maxRedirects?: number;
  socketPath?: unknown;
  transport?: unknown;
  /** Kept by axios from one sending of a call to the next. */
  pay88Repeated?: boolean;
}

interface Answer {
  status: number;
  config: Config;
}

/** Adds the interceptors to an instance of axios. The result is a function that removes them. */
export function authenticate(axios: Axios, tm: TokenManager): () => void {
  const origin = new URL(tm.baseUrl).origin;

  const request = axios.interceptors.request.use(async (config: Config) => {
    // That of an earlier sending of the same call.
    if (config.transport instanceof Transport) delete config.transport;
    if (originOf(axios.getUri(config)) !== origin) return config;
    checkWay(config);
    config.adapter = 'http';
    config.maxRedirects = 0;
    config.transport = new Transport(origin, await tm.getToken(), config);
    return config;
  });

  /** The answer of the repeated call; `undefined` if the call is not to be repeated. */
  const repeated = (answer: Answer | undefined): Promise<unknown> | undefined => {
    const config = answer?.config;
    if (answer?.status !== 401 || !config || config.pay88Repeated || !repeatable(config.data)) return undefined;
    const token: Token | null = config.transport instanceof Transport ? Transport.attached(config.transport) : null;
    if (token === null) return undefined;
    try {
      tm.invalidate(token);
    } catch {
      // Tokens were dropped too often lately: the 401 is the answer.
      return undefined;
    }
    return axios.request({ ...config, pay88Repeated: true });
  };
  const response = axios.interceptors.response.use(
    (answer: Answer) => repeated(answer) ?? answer,
    (error) => repeated(error?.response) ?? Promise.reject(error),
  );

  return () => {
    axios.interceptors.request.eject(request);
    axios.interceptors.response.eject(response);
  };
}

/** Refuses options that would bypass the transport. Only the transport sees where a request goes. */
function checkWay({ adapter, httpVersion, socketPath, transport }: Config): void {
  if (adapter !== undefined && ![adapter].flat().includes('http')) {
    throw notSent(
      'refused',
      'Calls of 88Pay are made by the adapter "http" of axios, and the option `adapter` does not name it.',
      'Other adapters may follow a redirect and take the session ID with them. Leave `adapter` out, or use makeRequest().',
    );
  }
  for (const [name, value] of Object.entries({ httpVersion, socketPath, transport })) {
    if (value === undefined || value === null || Number(value) === 1) continue;
    throw notSent(
      'refused',
      `The option \`${name}\` of axios is not taken for calls of 88Pay.`,
      'It may lead elsewhere, the session ID included. Leave it out, or use makeRequest().',
    );
  }
}

/** The origin of a URL. A relative URL has none. */
function originOf(url: string): string | undefined {
  try {
    return new URL(url).origin;
  } catch {
    return undefined;
  }
}

function repeatable(data: unknown): boolean {
  return data === undefined || data === null || typeof data === 'string' || data instanceof Uint8Array;
}
