/**
 * Options: camel case here, snake case in the one table of all languages, which says what they are.
 */

import { notSent } from './errors.js';
import { OPTIONS, snake, unknownName } from './names.js';

type Store = 'redis://' | 'rediss://' | 'redis+unix://' | 'memcached://';

/**
 * Who shares the token: `host` is all processes of this user (the default), `host:<dir>` those of a group that may write to
 * that directory, `process` this one alone; the URL of a store is all hosts that use it. Several, separated by commas, are
 * used in their order.
 */
export type Share = 'process' | 'host' | `host:${string}` | `${Store}${string}` | (string & {});

/** Each may come from the environment instead: `EIGHTY_EIGHT_PAY_` and the name in capitals, with underscores. */
export interface Options {
  /** API key of the dashboard, `sk_test_…` or `sk_live_…`. */
  apiKey?: string | null | undefined;
  /** Merchant ID, `MCH-{COUNTRY}-{ID}`. */
  merchantId?: string | null | undefined;
  /** Where 88Pay is: its sandbox unless set; production is `https://api.88pay.io`. */
  baseUrl?: string | null | undefined;
  /** The key that was replaced: used for up to 24 hours while the new one is not accepted. */
  previousApiKey?: string | null | undefined;
  /** Seconds that a call may take in all, waiting for a token included, at most 300; 30 unless set. */
  timeout?: number | string | null | undefined;
  /** Seconds that a connection may take to be made, at most 300; 5 unless set. */
  connectTimeout?: number | string | null | undefined;
  /** PEM file of the certificate authorities to trust for 88Pay, instead of the system's. */
  caBundle?: string | null | undefined;
  /** HTTP proxy, `http://[user:password@]host:port`, for https by CONNECT; `none` for none. */
  proxy?: string | null | undefined;
  /** Who shares the token; `host` unless set. */
  share?: Share | null | undefined;
  /** Seconds before its end from which a token is no longer handed out; 10 unless set. */
  safetyMargin?: number | string | null | undefined;
  /** Tokens that may be asked for in any minute; 10 unless set. */
  tokensPerMinute?: number | string | null | undefined;
  /** Tokens that may be asked for in any hour; 100 unless set. */
  tokensPerHour?: number | string | null | undefined;
  /** The largest answer that is read; 16 MiB unless set. */
  maxResponseBytes?: number | string | null | undefined;
  /** Seconds that an unused connection is kept; 45 unless set. */
  idleTimeout?: number | string | null | undefined;
  /** Added to the User-Agent, for example `my-shop/1.2`. */
  userAgentSuffix?: string | null | undefined;
}

/** Seconds above which a number was meant as milliseconds: no call takes five minutes, and a time of 300 ms is too short. */
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

/** The environment as this thread has it, names and values in turn: test runners and workers have one of their own. */
export function environment(): string[] {
  const flat: string[] = [];
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) flat.push(name, value);
  return flat;
}

/** Seconds above 0, or none. */
export function checkTimeout(timeout: unknown): void {
  if (timeout !== undefined) checkTime('timeout', typeof timeout === 'number' ? timeout : NaN);
}

/** Checks the times that will count: what is passed, else what the environment says. */
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
    `The ${name} is no number of seconds that can be meant.`,
    `Pass a number of seconds above 0, at most ${LONGEST}.`,
  );
}

/** Refuses what is no object, and names that are none of the known; `others` says what to do about some of them. */
export function checkNames(given: unknown, known: Iterable<string>, others?: Record<string, string>): void {
  if (typeof given !== 'object' || given === null) {
    throw notSent('config_invalid', 'The options are no object.', `Pass { ${[...known][0]}, … }.`);
  }
  const unknown = unknownName(given, known, others);
  if (unknown) throw notSent('config_invalid', `There is no option \`${unknown.name}\`.`, unknown.hint);
}
