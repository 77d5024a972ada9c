/**
 * Bodies as fetch takes them. They are read to their end before anything is sent, so that a call can be sent again
 * where that is safe. Reading stops at 64 MiB, at the deadline, and when the signal is aborted.
 */

import { clearTimeout, setTimeout } from 'node:timers';
import { types } from 'node:util';

import { notSent, Pay88Error } from './errors.js';
import { onAbort } from './signal.js';

/** What a body may be. */
export type Body =
  | string
  | ArrayBuffer
  | ArrayBufferView
  | URLSearchParams
  | FormData
  | Blob
  | ReadableStream
  | AsyncIterable<string | Uint8Array>;

/** The longest body that the library takes, in bytes. */
const LIMIT = 64 * 1024 * 1024;

export interface ReadBody {
  content: string | Uint8Array;
  /** The Content-Type of a form or blob. Other bodies are JSON unless a header says otherwise. */
  type: string | null;
}

/** The body if it can be sent without waiting; `undefined` if it has to be read. */
export function simpleBody(body: unknown): ReadBody | undefined {
  if (typeof body === 'string') return { content: body, type: null };
  if (types.isArrayBuffer(body)) return { content: new Uint8Array(body), type: null };
  if (ArrayBuffer.isView(body)) {
    return { content: new Uint8Array(body.buffer, body.byteOffset, body.byteLength), type: null };
  }
  if (body instanceof URLSearchParams) {
    return { content: body.toString(), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
  }
  return undefined;
}

/** Reads any other body, until `deadline` in the time of `performance.now()`. */
export async function readBody(body: unknown, deadline: number, signal: AbortSignal | undefined): Promise<ReadBody> {
  if (body instanceof FormData || body instanceof Blob) {
    const coded = new Response(body);
    return { content: await readStream(coded.body!, deadline, signal), type: coded.headers.get('content-type') };
  }
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body) {
    return { content: await readStream(body as AsyncIterable<unknown>, deadline, signal), type: null };
  }
  throw notSent(
    'config_invalid',
    'The body is not one that fetch takes.',
    'Pass JSON.stringify(…), a Buffer, URLSearchParams, FormData, a Blob or a stream.',
  );
}

async function readStream(
  stream: AsyncIterable<unknown>,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const iterator = stream[Symbol.asyncIterator]();
  const ended = interruption(deadline, signal);
  try {
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), ended.promise]);
      if (done) return Buffer.concat(chunks);
      const chunk = typeof value === 'string' ? Buffer.from(value) : value;
      if (!(chunk instanceof Uint8Array)) {
        throw notSent('config_invalid', 'The stream gave what is neither text nor bytes.', 'Encode its chunks.');
      }
      length += chunk.byteLength;
      if (length > LIMIT) {
        throw notSent('config_invalid', `The body is longer than ${LIMIT} bytes.`, 'Send less.');
      }
      chunks.push(chunk);
    }
  } catch (error) {
    // Closes the source, which may never answer.
    iterator.return?.().then(undefined, () => {});
    if (error instanceof Pay88Error) throw error;
    throw notSent('config_invalid', 'The body cannot be read.', 'Look at the cause.', error);
  } finally {
    ended.stop();
  }
}

/** A promise that rejects at the deadline or when the signal is aborted. */
function interruption(
  deadline: number,
  signal: AbortSignal | undefined,
): { promise: Promise<never>; stop: () => void } {
  let stop = () => {};
  const promise = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(notSent('timeout', 'The body was not read in time.', 'Nothing was sent.')),
      deadline - performance.now(),
    );
    const abort = () =>
      reject(
        notSent('canceled', 'The call was given up while its body was read.', 'Nothing was sent.', signal!.reason),
      );
    const deaf = onAbort(signal, abort);
    stop = () => {
      clearTimeout(timer);
      deaf();
    };
  });
  // It may reject when nobody waits for it any more.
  promise.catch(() => {});
  return { promise, stop };
}
