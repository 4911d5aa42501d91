import { NsmError } from '@nsm/rpc';

/** A record as it became, or as it last was. */
export interface Change<T> {
  readonly entry: T;
  readonly deleted: boolean;
}

/** The records at one moment, and every change after it. */
export interface Subscription<T> {
  readonly snapshot: readonly T[];
  /**
   * The changes in order; ends when the signal aborts or what it watches closes. Fails with `exhausted` for a reader
   * that is too far behind; nobody else waits for it.
   */
  changes(signal: AbortSignal): AsyncGenerator<Change<T>>;
  close(): void;
}

/** Passes changes on to its subscribers, each with a buffer of its own. */
export interface Feed<T> {
  publish(change: Change<T>): void;
  subscribe(matches: (entry: T) => boolean, snapshot: readonly T[]): Subscription<T>;
  /** Ends all subscriptions. */
  close(): void;
}

/** How many changes a subscriber may be behind. Contract 6.2: upstream stops everybody after 10. */
const MAX_BEHIND = 10_000;

export function createFeed<T>(maxBehind = MAX_BEHIND): Feed<T> {
  const readers = new Set<Reader<T>>();
  return {
    publish: (change) => {
      for (const reader of readers) reader.push(change);
    },
    subscribe: (matches, snapshot) => {
      const reader = createReader(matches, maxBehind);
      readers.add(reader);
      return {
        snapshot,
        changes: async function* (signal) {
          try {
            yield* reader.read(signal);
          } finally {
            readers.delete(reader);
          }
        },
        close: () => {
          readers.delete(reader);
          reader.end();
        },
      };
    },
    close: () => {
      for (const reader of readers) reader.end();
      readers.clear();
    },
  };
}

interface Reader<T> {
  push(change: Change<T>): void;
  end(): void;
  read(signal: AbortSignal): AsyncGenerator<Change<T>>;
}

function createReader<T>(matches: (entry: T) => boolean, maxBehind: number): Reader<T> {
  let waiting: Change<T>[] = [];
  let wake = (): void => undefined;
  let ended = false;
  let overflown = false;
  return {
    push: (change) => {
      if (ended || overflown || !matches(change.entry)) return;
      waiting.push(change);
      overflown = waiting.length > maxBehind;
      if (overflown) waiting = []; // what it missed cannot be made good
      wake();
    },
    end: () => {
      ended = true;
      wake();
    },
    read: async function* (signal) {
      const onAbort = (): void => wake();
      signal.addEventListener('abort', onAbort);
      try {
        while (!signal.aborted) {
          const now = waiting;
          waiting = [];
          for (const change of now) {
            if (overflown) break;
            yield change;
          }
          if (overflown)
            throw new NsmError('exhausted', `this watch is more than ${maxBehind} changes behind`, {
              hint: 'read faster, or watch again: a watch begins with the present state',
              limit: 'unread',
            });
          if (waiting.length > 0) continue;
          if (ended) return;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
