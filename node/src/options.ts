/**
 * Options. They are in camel case here, and in snake case in the table of all languages, which says what they are.
 */

import { notSent } from './errors.js';
import { OPTIONS, escaped, snake, unknownName } from './names.js';

type Store = 'redis://' | 'rediss://' | 'redis+unix://' | 'memcached://';

/**
 * Who shares the token. `host` (the default): all processes of this user on this host. `host:<dir>`: all processes of a
 * group that may write to that directory. `process`: this process alone. The URL of a store: all hosts that use it.
 * Several, separated by commas, are used in their order.
 */
export type Share = 'process' | 'host' | `host:${string}` | `${Store}${string}` | (string & {});

/**
 * The options of a manager. An option that is not passed comes from the environment: from `EIGHTY_EIGHT_PAY_` and the
 * name in capitals, with underscores.
 */
export interface Options {
  /** API key from the dashboard, `sk_test_…` or `sk_live_…`. */
  apiKey?: string | null | undefined;
  /** Merchant ID, `MCH-{COUNTRY}-{ID}`. */
  merchantId?: string | null | undefined;
  /** Address of 88Pay. The default is its sandbox; production is `https://api.88pay.io`. */
  baseUrl?: string | null | undefined;
  /** The key before the present one. It is used for up to 24 hours while 88Pay does not accept the new one. */
  previousApiKey?: string | null | undefined;
  /** Seconds that a call may take in all, including the wait for a token; at most 300. The default is 30. */
  timeout?: number | string | null | undefined;
  /** Seconds that it may take to make a connection; at most 300. The default is 5. */
  connectTimeout?: number | string | null | undefined;
  /** PEM file of the certificate authorities to trust for 88Pay, in place of the system's. */
  caBundle?: string | null | undefined;
  /** HTTP proxy, `http://[user:password@]host:port`, used for https by CONNECT; `none` for no proxy. */
  proxy?: string | null | undefined;
  /** Who shares the token. The default is `host`. */
  share?: Share | null | undefined;
  /** How many seconds before its end a token is no longer handed out. The default is 10. */
  safetyMargin?: number | string | null | undefined;
  /** How many tokens may be asked for in any minute. The default is 10. */
  tokensPerMinute?: number | string | null | undefined;
  /** How many tokens may be asked for in any hour. The default is 100. */
  tokensPerHour?: number | string | null | undefined;
  /** The largest answer that a call reads, in bytes. The default is 16 MiB. */
  maxResponseBytes?: number | string | null | undefined;
  /** For how many seconds a connection is kept that is not in use. The default is 45. */
  idleTimeout?: number | string | null | undefined;
  /** How many connections to 88Pay calls may have open at once; further calls wait in turn. The default is 64. */
  maxConnections?: number | string | null | undefined;
  /** Text that is added to the User-Agent, for example `my-shop/1.2`. */
  userAgentSuffix?: string | null | undefined;
}

/** A number of seconds above this was meant as milliseconds: no call takes five minutes, and 300 ms are too short. */
const LONGEST = 300;

/** The options that are such times. */
const TIMES = ['timeout', 'connectTimeout'] as const;

/** Names and values in turn, as the compiled part takes them. */
export function flattened(options: Options): string[] {
  const flat: string[] = [];
  checkNames(options, OPTIONS.keys());
  checkTimes(options);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue;
    // The value may be a secret, and the message goes to logs.
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw notSent('config_invalid', `The option ${name} is a ${typeof value}.`, 'Pass a string or a number.');
    }
    flat.push(snake(name), String(value));
  }
  return flat;
}

/** The environment of this thread, as names and values in turn. Test runners and workers have one of their own. */
export function environment(): string[] {
  const flat: string[] = [];
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) flat.push(name, value);
  return flat;
}

/** Checks that a time is in seconds and above 0, or not passed. */
export function checkTimeout(timeout: unknown): void {
  if (timeout !== undefined) checkTime('timeout', typeof timeout === 'number' ? timeout : NaN);
}

/** Checks the times that will be used: those that are passed, otherwise those of the environment. */
function checkTimes(options: Options): void {
  for (const name of TIMES) {
    const given = options[name];
    if (typeof given === 'number' || typeof given === 'string') checkTime(name, given);
    if (given !== undefined && given !== null) continue;
    const variable = `EIGHTY_EIGHT_PAY_${snake(name).toUpperCase()}`;
    const text = process.env[variable];
    // A blank one counts as unset.
    if (text?.trim()) checkTime(variable, text);
  }
}

function checkTime(name: string, value: number | string): void {
  const seconds = Number(value);
  if (seconds > 0 && seconds <= LONGEST) return;
  if (seconds > LONGEST && seconds < Infinity) {
    throw notSent(
      'config_invalid',
      `The ${name} is ${seconds} seconds, which is longer than any call takes.`,
      `Times are in seconds, at most ${LONGEST}: pass ${seconds / 1000} for ${seconds} milliseconds.`,
    );
  }
  // The value may be anything, and the message goes to logs.
  throw notSent(
    'config_invalid',
    `The ${name} is not a number of seconds that makes sense.`,
    `Pass a number of seconds above 0, at most ${LONGEST}.`,
  );
}

/**
 * Refuses a value that is not an object, and names that are not known. `others` says what to do about some of these.
 */
export function checkNames(given: unknown, known: Iterable<string>, others?: Record<string, string>): void {
  if (typeof given !== 'object' || given === null) {
    throw notSent('config_invalid', 'The options are not an object.', `Pass { ${[...known][0]}, … }.`);
  }
  const unknown = unknownName(given, known, others);
  if (unknown) throw notSent('config_invalid', `There is no option \`${escaped(unknown.name)}\`.`, unknown.hint);
}
