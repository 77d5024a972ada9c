/**
 * Tokens. Inspecting, printing or serialising a token does not show its secrets.
 */

import { inspect } from 'node:util';

import type { TokenParts } from './native.js';

/** An access token and the session ID that belongs to it. It never changes, and stays readable after it has ended. */
export class Token {
  readonly #parts: TokenParts;
  /** In the time of `process.uptime()`, because Node would load 0.4 MB for `performance.now()`. */
  readonly #end: number;

  private constructor(parts: TokenParts) {
    this.#parts = parts;
    this.#end = process.uptime() + parts.validFor / 1000;
  }

  /** The access token, for `Authorization: Bearer …`. A secret. */
  get access_token(): string {
    return this.#parts.accessToken;
  }

  /** The session ID, for `x-session-id`. A secret. */
  get session_id(): string {
    return this.#parts.sessionId;
  }

  /** The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token. */
  get expires_in(): number {
    return this.#parts.expiresIn;
  }

  /** For how many seconds the library will still hand the token out; 0 when that time is over. */
  get validFor(): number {
    return Math.max(0, this.#end - process.uptime());
  }

  /** @internal */
  static of(parts: TokenParts): Token {
    return new Token(parts);
  }

  /** @internal */
  static generation(token: Token): number {
    return token.#parts.generation;
  }

  /** The parts of the token that may be shown. */
  toJSON(): { expires_in: number; validFor: number } {
    return { expires_in: this.expires_in, validFor: this.validFor };
  }

  /** @internal */
  [inspect.custom](): string {
    return `Token { valid for ${this.validFor.toFixed(1)} s }`;
  }
}
