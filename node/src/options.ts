/**
 * Options: camel case here, snake case in the one table of all languages, which says what they are.
 */

import { notSent } from './errors.js';
import { native } from './native.js';

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
  /** Seconds that a call may take in all, waiting for a token included; 30 unless set. */
  timeout?: number | string | null | undefined;
  /** Seconds that a connection may take to be made; 5 unless set. */
  connectTimeout?: number | string | null | undefined;
  /** PEM file of the certificate authorities to trust for 88Pay, instead of the system's. */
  caBundle?: string | null | undefined;
  /** HTTP proxy, `http://[user:password@]host:port`, for https by CONNECT; empty for none. */
  proxy?: string | null | undefined;
  /** Who shares the token: `host` (all processes of this user; the default), `host:<dir>` (a group's) or `process`. */
  share?: string | null | undefined;
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

/** Names in camel case, and defaults. */
const TABLE = new Map<string, string>();
const rows = native.options();
for (let row = 0; row < rows.length; row += 2) {
  TABLE.set(camel(rows[row]!), rows[row + 1]!);
}

/** Names and values in turn, as the compiled part takes them. */
export function flattened(options: Options): string[] {
  const flat: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    if (!TABLE.has(name)) {
      const known = [...TABLE.keys()].join(', ');
      throw notSent('config_invalid', `There is no option \`${name}\`.`, `The options are ${known}.`);
    }
    if (value === undefined || value === null) continue;
    // The value may be a secret, and the message goes to logs.
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw notSent('config_invalid', `The option ${name} is a ${typeof value}.`, 'Pass a string or a number.');
    }
    flat.push(snake(name), String(value));
  }
  return flat;
}

/** Seconds that a call of a manager with these options may take. */
export function timeoutOf(options: Options): number {
  return Number(options.timeout ?? process.env['EIGHTY_EIGHT_PAY_TIMEOUT'] ?? TABLE.get('timeout'));
}

/** Seconds above 0, or none. */
export function checkTimeout(timeout: unknown): void {
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0 && timeout <= 3600)) {
    const hint = 'Pass a number of seconds above 0, at most 3600.';
    throw notSent('config_invalid', 'The timeout is no number of seconds that can be meant.', hint);
  }
}

function camel(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
