import { pause, type Clock } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import type { Change } from './feed.ts';
import type { Entry } from './kind.ts';

/** What a watch tells. */
export type WatchEvent<T> =
  /** A record is there, or has become this. */
  | { readonly type: 'put'; readonly entry: T }
  /** A record is gone; as it last was known. */
  | { readonly type: 'deleted'; readonly entry: T }
  /** All that is there has been told, and all that is gone: from here on events are news. */
  | { readonly type: 'synced' }
  /** The registry cannot be heard; what was told may be out of date until the next `synced`. */
  | { readonly type: 'lost'; readonly error: NsmError };

/** The two ways of asking that a watch needs. */
export interface WatchSource<T> {
  /** The raw stream of a watching Find. */
  stream(signal: AbortSignal): AsyncIterable<Change<T>>;
  /** All that match now. */
  find(signal: AbortSignal): Promise<readonly T[]>;
}

/** What drives a watch. */
export interface WatchDeps {
  readonly clock: Clock;
  /** A number in [0, 1). */
  random(): number;
}

/** A stream that has said nothing for so long is taken to have nothing to say yet. */
const QUIET_MS = 500;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 500;

/**
 * Follows what matches a query until the signal aborts, over any number of streams. What vanished between two of them
 * is told as deleted: the protocol has no mark for the end of a stream's first records, so each new stream is compared
 * with one plain Find that was asked after the stream had begun.
 */
export async function followMatches<T extends Entry>(
  source: WatchSource<T>,
  deps: WatchDeps,
  signal: AbortSignal,
  tell: (event: WatchEvent<T>) => void,
): Promise<void> {
  const known = new Map<string, T>();
  let retryMs = FIRST_RETRY_MS;
  let lost = false;
  while (!signal.aborted) {
    const { error, synced } = await followOnce(
      source,
      deps,
      signal,
      (event) => {
        if (event.type === 'synced') lost = false;
        tell(event);
      },
      known,
    );
    if (isAborted(signal)) return;
    if (!lost) tell({ type: 'lost', error });
    lost = true;
    if (synced) retryMs = FIRST_RETRY_MS;
    await pause(deps.clock, retryMs * (0.75 + deps.random() / 2), signal);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
  }
}

/** Asked again after an await, where the compiler would still believe the last answer. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** One stream, from its opening to its end; `known` is what the reader has been told is there. */
async function followOnce<T extends Entry>(
  source: WatchSource<T>,
  { clock }: WatchDeps,
  outer: AbortSignal,
  tell: (event: WatchEvent<T>) => void,
  known: Map<string, T>,
): Promise<{ error: NsmError; synced: boolean }> {
  const leave = new AbortController();
  const signal = AbortSignal.any([outer, leave.signal]);
  /** What this stream has said, by name, until it is in sync. */
  const said = new Map<string, Change<T>>();
  let comparing = false;
  const state = { synced: false };

  const apply = ({ entry, deleted }: Change<T>): void => {
    if (deleted) known.delete(entry.name);
    else known.set(entry.name, entry);
    tell({ type: deleted ? 'deleted' : 'put', entry });
  };

  const compare = async (): Promise<void> => {
    if (comparing) return;
    comparing = true;
    try {
      const found = await source.find(signal);
      if (signal.aborted) return;
      // The stream is the later witness of what it has spoken of.
      const there = new Set(found.map(({ name }) => name));
      for (const entry of found) if (!said.has(entry.name)) apply({ entry, deleted: false });
      for (const [name, entry] of known)
        if (!there.has(name) && !said.has(name)) apply({ entry, deleted: true });
      state.synced = true;
      said.clear();
      tell({ type: 'synced' });
    } catch (err) {
      leave.abort(err);
    }
  };

  const stopWaiting = clock.after(QUIET_MS, () => void compare());
  try {
    for await (const change of source.stream(signal)) {
      if (!state.synced) said.set(change.entry.name, change);
      apply(change);
      void compare();
    }
    const error = new NsmError('unavailable', 'the registry ended the watch');
    return { error, synced: state.synced };
  } catch (err) {
    const cause: unknown = leave.signal.aborted ? leave.signal.reason : err;
    return { error: NsmError.from(cause), synced: state.synced };
  } finally {
    stopWaiting();
    leave.abort();
  }
}

/** A watch as a stream of events; it ends when the signal aborts or its loop is left. */
export async function* watchEvents<T extends Entry>(
  source: WatchSource<T>,
  deps: WatchDeps,
  outer: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const leave = new AbortController();
  const signal = AbortSignal.any([outer, leave.signal]);
  let waiting: WatchEvent<T>[] = [];
  let wake = (): void => undefined;
  const done = followMatches(source, deps, signal, (event) => {
    waiting.push(event);
    wake();
  }).then(() => wake());
  try {
    while (!isAborted(signal)) {
      const now = waiting;
      waiting = [];
      yield* now;
      if (waiting.length === 0 && !isAborted(signal))
        await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    leave.abort();
    await done;
  }
}
