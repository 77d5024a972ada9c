/**
 * Tokens. Neither inspecting, nor printing, nor serialising one gives its secrets away.
 */

import { inspect } from 'node:util';

import type { TokenParts } from './native.js';

/** An access token and the session ID that belongs to it. Never changes, and stays readable after its end. */
export class Token {
  readonly #parts: TokenParts;
  /** Of `process.uptime()`: for `performance.now()` Node would load 0.4 MB. */
  readonly #end: number;

  private constructor(parts: TokenParts) {
    this.#parts = parts;
    this.#end = process.uptime() + parts.validFor / 1000;
  }

  /** For `Authorization: Bearer …`. A secret. */
  get access_token(): string {
    return this.#parts.accessToken;
  }

  /** For `x-session-id`. A secret. */
  get session_id(): string {
    return this.#parts.sessionId;
  }

  /** The life in seconds that 88Pay gave it, counted on 88Pay's side. */
  get expires_in(): number {
    return this.#parts.expiresIn;
  }

  /** How many seconds the library will still hand it out; 0 when that is over. */
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

  /** What may be seen of it. */
  toJSON(): { expires_in: number; validFor: number } {
    return { expires_in: this.expires_in, validFor: this.validFor };
  }

  /** @internal */
  [inspect.custom](): string {
    return `Token { valid for ${this.validFor.toFixed(1)} s }`;
  }
}
