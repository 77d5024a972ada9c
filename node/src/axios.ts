/**
 * For programs that keep axios: interceptors that authenticate what goes to 88Pay.
 *
 * Promises: the pair goes to the manager's own origin only, and no redirect is followed from there; a 401 leads to one
 * refresh, however many calls it meets, and the call is repeated once if its body can be sent again. Connections and time
 * limits are axios's, not pay88's.
 */

import type { AxiosInstance, AxiosResponse, InternalAxiosRequestConfig } from 'axios';

import type { Token, TokenManager } from './index.js';

/** Kept by axios from one sending of a call to the next. */
interface Config extends InternalAxiosRequestConfig {
  pay88Repeated?: boolean;
}

/** Adds the interceptors to an instance of axios; the result takes them away again. */
export function authenticate(axios: AxiosInstance, tm: TokenManager): () => void {
  const origin = new URL(tm.baseUrl).origin;
  const tokens = new WeakMap<Config, Token>();

  const request = axios.interceptors.request.use(async (config: Config) => {
    if (!isOf(origin, axios.getUri(config))) return config;
    const token = await tm.getToken();
    config.headers.set('Authorization', `Bearer ${token.access_token}`);
    config.headers.set('x-session-id', token.session_id);
    config.maxRedirects = 0;
    tokens.set(config, token);
    return config;
  });

  /** The answer of a repetition; `undefined` if there is none to be made. */
  const repeated = (answer: AxiosResponse | undefined): Promise<AxiosResponse> | undefined => {
    const config = answer?.config as Config | undefined;
    const token = config && tokens.get(config);
    if (answer?.status !== 401 || !token || config.pay88Repeated || !repeatable(config.data)) return undefined;
    try {
      tm.invalidate(token);
    } catch {
      // Tokens were dropped too often lately: the 401 is the answer.
      return undefined;
    }
    return axios.request({ ...config, pay88Repeated: true } as Config);
  };
  const response = axios.interceptors.response.use(
    (answer) => repeated(answer) ?? answer,
    (error) => repeated(error?.response) ?? Promise.reject(error),
  );

  return () => {
    axios.interceptors.request.eject(request);
    axios.interceptors.response.eject(response);
  };
}

/** A URL that is relative has no origin. */
function isOf(origin: string, url: string): boolean {
  try {
    return new URL(url).origin === origin;
  } catch {
    return false;
  }
}

function repeatable(data: unknown): boolean {
  return data === undefined || data === null || typeof data === 'string' || data instanceof Uint8Array;
}
