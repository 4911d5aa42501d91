/** Takes one thing out of the world again. `signal` is fresh and time-limited; finding nothing to undo is success. */
export type Release = (signal: AbortSignal) => Promise<void> | void;

/** A typed key of a {@link Scope}, private to the module that made it. */
export interface Slot<T> {
  readonly id: symbol;
  /** Never set: carries the type. */
  readonly type?: T;
}

/** Makes a slot; `name` shows in the errors of a failed undo. */
export const slot = <T>(name: string): Slot<T> => ({ id: Symbol(name) });

/** How long one undo may take, in ms. */
const UNDO_LIMIT_MS = 5_000;

/** Here, so that what is kept does not keep alive the call it was kept in. */
const nothing: Release = () => undefined;

interface Entry {
  /** Place in the undo stack. */
  readonly at: number;
  readonly value: unknown;
  readonly release: Release;
}

interface Change {
  readonly seq: number;
  readonly id: symbol;
  /** What the slot held before; undefined: nothing. */
  readonly was: Entry | undefined;
  /** Makes the world match `was` again. */
  readonly restore: Release | undefined;
}

/** What one connection holds on this hop: an undo stack whose entries are typed slots. */
export class Scope {
  readonly #held = new Map<symbol, Entry>();
  #changes: Change[] = [];
  #seq = 0;

  /** The present moment, to {@link unwind} to. A sequence number, not a size, so that {@link drop} does not disturb it. */
  get mark(): number {
    return this.#seq;
  }

  /** Whether nothing is held. */
  get empty(): boolean {
    return this.#held.size === 0;
  }

  get<T>(slot: Slot<T>): T | undefined {
    return this.#held.get(slot.id)?.value as T | undefined;
  }

  /**
   * Registers an undo; call it before acting. The same slot again means "it became this": it keeps its place in the stack.
   * If the run that did so fails, the slot holds its former value again, and `restore` is asked to make the world match it.
   */
  hold<T>(
    slot: Slot<T>,
    value: T,
    release: Release,
    restore?: (was: T, signal: AbortSignal) => Promise<void> | void,
  ): void {
    const was = this.#held.get(slot.id);
    const seq = ++this.#seq;
    this.#held.set(slot.id, { at: was?.at ?? seq, value, release });
    const back =
      was && restore ? (signal: AbortSignal) => restore(was.value as T, signal) : undefined;
    this.#changes.push({ seq, id: slot.id, was, restore: back });
  }

  /** Remembers a value that leaves nothing in the world: it comes and goes with the connection. */
  keep<T>(slot: Slot<T>, value: T): void {
    this.hold(slot, value, nothing);
  }

  /** Undoes one slot now, to hold something else in it (another peer was chosen: leave the old one first). */
  async drop<T>(slot: Slot<T>): Promise<void> {
    const entry = this.#held.get(slot.id);
    if (!entry) return;
    this.#held.delete(slot.id);
    this.#changes = this.#changes.filter((change) => change.id !== slot.id);
    await limited(slot.id, entry.release);
  }

  /** Undoes, newest first, what changed since `mark`. Every undo runs; the failures are returned. */
  async unwind(mark: number): Promise<unknown[]> {
    const failures: unknown[] = [];
    while ((this.#changes.at(-1)?.seq ?? 0) > mark) {
      const change = this.#changes.pop();
      const entry = change && this.#held.get(change.id);
      if (!change || !entry) continue;
      if (change.was) this.#held.set(change.id, change.was);
      else this.#held.delete(change.id);
      const undo = change.was ? change.restore : entry.release;
      if (undo) await limited(change.id, undo).catch((err: unknown) => failures.push(err));
    }
    return failures;
  }

  /** A run succeeded: what changed is now how things are. */
  commit(): void {
    this.#changes = [];
  }

  /** Undoes everything, newest first: the close of a connection. Every undo runs; the failures are returned. */
  async close(): Promise<unknown[]> {
    const failures: unknown[] = [];
    const newestFirst = [...this.#held].sort(([, a], [, b]) => b.at - a.at);
    this.#held.clear();
    this.#changes = [];
    for (const [id, entry] of newestFirst)
      await limited(id, entry.release).catch((err: unknown) => failures.push(err));
    return failures;
  }
}

/** An undo must not wait on the caller's signal, which may be aborted already, nor for ever. */
async function limited(id: symbol, release: Release): Promise<void> {
  const signal = AbortSignal.timeout(UNDO_LIMIT_MS);
  const done = release(signal);
  if (!(done instanceof Promise)) return;
  let onAbort = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    onAbort = () =>
      reject(
        new Error(`undo of ${id.description ?? 'a slot'} took longer than ${UNDO_LIMIT_MS} ms`),
      );
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([done, late]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
