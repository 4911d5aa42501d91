import { closeSync, fstatSync } from 'node:fs';

/** How long a descriptor that nobody asked for is kept: its message may be on the way, or have been given up. */
const UNCLAIMED_MS = 5_000;
/** Likewise after the end of its connection, whose last message may still be looked at. */
const ENDED_MS = 1_000;
/** How many such descriptors one connection may leave with us, and how many copies of each. */
const MAX_UNCLAIMED = 256;

interface Entry {
  readonly fd: number;
  /** A timer for each time that it has come and was not taken, the oldest first. */
  copies: NodeJS.Timeout[];
}

/**
 * The descriptors that came over one connection, by the `inode://<dev>/<ino>` of their files. One that is taken is the taker's, and
 * one that nobody takes is closed soon: a descriptor keeps a namespace alive.
 */
export class ReceivedDescriptors {
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #ended = false;

  /** Takes over a descriptor that has just come. */
  put(fd: number): void {
    const key = keyOf(fd);
    const known = this.#entries.get(key);
    if (known && known.copies.length < MAX_UNCLAIMED)
      known.copies.push(this.#dropAfter(key, UNCLAIMED_MS));
    if (known || this.#ended || this.#entries.size >= MAX_UNCLAIMED) {
      closeSync(fd);
      return;
    }
    this.#entries.set(key, { fd, copies: [this.#dropAfter(key, UNCLAIMED_MS)] });
    for (const wake of this.#waiting.get(key) ?? []) wake();
  }

  /** A copy of one, which stays; the caller closes it. Undefined: none has come. */
  copy(key: string, duplicate: (fd: number) => number): number | undefined {
    const entry = this.#entries.get(key);
    return entry && duplicate(entry.fd);
  }

  /** Gives the newest away, so that what nobody takes is not young for ever; the taker closes it. Undefined: none has come. */
  take(key: string, duplicate: (fd: number) => number): number | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    clearTimeout(entry.copies.pop());
    if (entry.copies.length > 0) return duplicate(entry.fd);
    this.#entries.delete(key);
    return entry.fd;
  }

  /** Resolves when one has come that may be taken, or the connection has ended; rejects when the signal is aborted. */
  async arrival(key: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#ended || this.#entries.has(key)) return;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const stop = (): void => reject(signal.reason);
    const others = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, others.add(wake));
    signal.addEventListener('abort', stop, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', stop);
      others.delete(wake);
      if (others.size === 0 && this.#waiting.get(key) === others) this.#waiting.delete(key);
    }
  }

  /** Whether the connection that brings them has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** No more will come. What has can still be taken for a moment: an answer may be the last thing of its connection. */
  end(): void {
    this.#ended = true;
    for (const [key, entry] of this.#entries) {
      for (const copy of entry.copies) clearTimeout(copy);
      entry.copies = entry.copies.map(() => this.#dropAfter(key, ENDED_MS));
    }
    for (const wakes of this.#waiting.values()) for (const wake of wakes) wake();
  }

  #dropAfter(key: string, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#drop(key), ms).unref();
  }

  /** Ends the wait for who takes the oldest. */
  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    clearTimeout(entry.copies.shift());
    if (entry.copies.length > 0) return;
    this.#entries.delete(key);
    closeSync(entry.fd);
  }
}

const keyOf = (fd: number): string => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `inode://${dev}/${ino}`;
};
