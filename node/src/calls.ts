/**
 * The pending calls of this thread. A call starts at once, and ends when its result is delivered.
 *
 * Promises: a pending call keeps the process alive, and nothing else here does. A signal ends the call, and the error
 * then says whether the request can have been sent.
 */

// Where a browser is imitated, the functions of the global scope are other ones.
import { setInterval } from 'node:timers';

import { errorOf, notSent, rethrown } from './errors.js';
import { publish } from './events.js';
import { type CompletionQueue, type Delivery, type Failure, native, type PendingCall } from './native.js';
import { onAbort } from './signal.js';

const pending = new Map<number, (delivery: Delivery) => void>();
let latest = 0;

/** Only keeps the process alive while it is referenced. The wake-ups of the compiled part never do. */
const alive = setInterval(() => {}, 2 ** 31 - 1).unref();

export const completions: CompletionQueue = new native.CompletionQueue(() => completions.take(answered, delivered));

function answered(number: number, status: number, headers: string, body: Buffer, failure?: Failure): void {
  settle(number, { answer: { status, headers, body, failure } });
}

function delivered(delivery: Delivery): void {
  if (delivery.event === undefined) settle(delivery.number!, delivery);
  else publish(delivery.event);
}

function settle(number: number, delivery: Delivery): void {
  const finish = pending.get(number)!;
  pending.delete(number);
  if (pending.size === 0) alive.unref();
  finish(delivery);
}

/** Throws `canceled` if the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw notSent('canceled', 'The call was given up before it began.', 'Nothing was sent.', signal.reason);
  }
}

/** Begins a call, and reads its result when it has come. */
export function call<T>(
  signal: AbortSignal | undefined,
  begin: (number: number, cancelable: boolean) => PendingCall | null,
  read: (delivery: Delivery) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    const number = ++latest;
    const started = rethrown(() => begin(number, signal !== undefined));
    const stop = onAbort(signal, () => started?.cancel());
    if (pending.size === 0) alive.ref();
    pending.set(number, (delivery) => {
      stop();
      try {
        if (delivery.failure) {
          const given = delivery.failure.code === 'canceled' && signal?.aborted;
          throw errorOf(delivery.failure, given ? { cause: signal.reason } : {});
        }
        resolve(read(delivery));
      } catch (error) {
        reject(error);
      }
    });
  });
}
