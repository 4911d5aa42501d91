/** Time as an argument, so that tests own it. */
export interface Clock {
  /** ms since 1970. */
  now(): number;
  /** Runs `action` once, `ms` from now (at once if past); the returned function cancels it. */
  after(ms: number, action: () => void): () => void;
}

/** setTimeout counts in a signed 32-bit number. */
const LONGEST_MS = 2 ** 31 - 1;

/** The real clock. Its timers do not keep a process alive. */
export const systemClock: Clock = {
  // eslint-disable-next-line no-restricted-properties -- this is the one place
  now: () => Date.now(),
  after: (ms, action) => {
    const timer = setTimeout(action, Math.min(Math.max(0, ms), LONGEST_MS)).unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or as soon as the signal aborts. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener('abort', done, { once: true });
  });
}
