/**
 * The types of the compiled part. Promises one clear sentence if there is no compiled part for this machine.
 */

export interface Failure {
  code: string;
  message: string;
  hint: string;
  outcome: 'not_sent' | 'unknown' | 'answered';
  httpStatus?: number;
  retryAfter?: number;
  retryable: boolean;
  attempt?: number;
}

export interface TokenParts {
  accessToken: string;
  sessionId: string;
  expiresIn: number;
  /** Milliseconds. */
  validFor: number;
  generation: number;
}

export interface AnswerParts {
  status: number;
  /** Names and values in turn, one on each line, one character for each byte. */
  headers: string;
  body: Buffer;
  /** A status of 400 or above, as an error. */
  failure: Failure | undefined;
}

/** The result of a call, or an event. */
export interface Delivery {
  number?: number;
  failure?: Failure;
  token?: TokenParts;
  answer?: AnswerParts;
  event?: string;
}

export interface RequestParts {
  method: string;
  endpoint: string;
  /** Text is sent as UTF-8. */
  body: string | Uint8Array | undefined;
  safeToRepeat: boolean;
  /** Seconds. */
  timeout: number | undefined;
  /** Names and values in turn. */
  headers: string[] | undefined;
  /** Names and values in turn. */
  params: string[] | undefined;
}

export interface PendingCall {
  cancel(): void;
}

/** Gives this thread the results of its calls, and events. */
export interface CompletionQueue {
  /** Passes answers to the first function, everything else to the second. */
  take(
    answered: (number: number, status: number, headers: string, body: Buffer, failure?: Failure) => void,
    delivered: (delivery: Delivery) => void,
  ): void;
}

/** A manager. Its methods throw a `Failure`. */
export interface ManagerHandle {
  readonly id: number;
  readonly baseUrl: string;
  readonly merchantId: string;
  /** Seconds. */
  readonly timeout: number;
  /** Whether the token that `current` told of last is still the one to use. A new function each time it is read. */
  readonly isCurrent: () => boolean;
  /** Another token than that of the number, or whether that is the one to use. */
  current(known: number): boolean | TokenParts;
  peek(): TokenParts | null;
  getToken(completions: CompletionQueue, number: number, cancelable: boolean, timeout?: number): PendingCall | null;
  send(
    completions: CompletionQueue,
    number: number,
    cancelable: boolean,
    method: string,
    endpoint: string,
    body: string | Uint8Array | undefined,
    safeToRepeat: boolean,
    timeout: number | undefined,
    headers: string[] | undefined,
    params: string[] | undefined,
  ): PendingCall | null;
  invalidate(generation?: number): boolean;
  rotate(apiKey: string, keepOld: boolean): void;
  statsJson(): string;
  close(): void;
}

interface Native {
  version(): string;
  /** Names and defaults in turn. */
  options(): string[];
  errorCodes(): string[];
  eventNames(): string[];
  listen(completions: CompletionQueue): void;
  CompletionQueue: new (wake: () => void) => CompletionQueue;
  ManagerHandle: new (options: string[], environment: string[]) => ManagerHandle;
}

function load(): Native {
  const platform = `${process.platform}-${process.arch}`;
  try {
    return require(`../native/pay88.${platform}.node`);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    const why = missing ? 'the package holds no binary for it' : (cause as Error).message;
    const bundled = 'If a bundler made this program, it has to leave pay88 external, as the README says';
    throw new Error(`pay88 cannot be loaded on ${platform}: ${why}. ${bundled}.`, { cause });
  }
}

export const native = load();
