/**
 * Listening to an AbortSignal. Promises one listener for a signal, however many calls it has: Node warns of more than ten.
 */

interface Watch {
  readonly runs: Set<() => void>;
  readonly listener: () => void;
}

const watches = new WeakMap<AbortSignal, Watch>();

/** Runs that when the signal is aborted; the result stops listening. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal === undefined) return () => {};
  const watch = watches.get(signal) ?? begin(signal);
  // Of its own, since the same function may be given twice.
  const own = () => run();
  watch.runs.add(own);
  return () => {
    watch.runs.delete(own);
    if (watch.runs.size === 0) {
      signal.removeEventListener('abort', watch.listener);
      watches.delete(signal);
    }
  };
}

function begin(signal: AbortSignal): Watch {
  const runs = new Set<() => void>();
  const watch = { runs, listener: () => runs.forEach((run) => run()) };
  signal.addEventListener('abort', watch.listener);
  watches.set(signal, watch);
  return watch;
}
