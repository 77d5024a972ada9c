/**
 * Listens to an AbortSignal. Promises one listener for each signal, however many calls use it: Node warns about more
 * than ten.
 */

interface Watch {
  readonly runs: Set<() => void>;
  readonly listener: () => void;
}

const watches = new WeakMap<AbortSignal, Watch>();

/** Calls `run` when the signal is aborted. The result is a function that stops listening. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal === undefined) return () => {};
  const watch = watches.get(signal) ?? begin(signal);
  // A function of its own, because the same one may be passed twice.
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
