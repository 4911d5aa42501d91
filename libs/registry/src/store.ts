import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import type { Subscription } from './feed.ts';

/**
 * Where a registry keeps one kind of record. Reads answer from memory. What a promise of `put` or `delete` has
 * acknowledged is there for the next read and for watchers, and in a lasting store also after a crash.
 */
export interface Store<T> {
  /** Goes up with every change; watchers see changes in its order. */
  readonly revision: number;
  get(name: string): T | undefined;
  list(): readonly T[];
  /** How many belong to an identity: have it as their first `path_id`. */
  ownedBy(owner: string): number;
  /** Those that pass a query (contract 6.1). */
  query(query: T): readonly T[];
  /** Adds or replaces. Fails with `unavailable` where it could not be kept; then nothing has changed. */
  put(entry: T): Promise<void>;
  /** Removes and returns what was there; undefined: nothing was. Fails as `put` does. */
  delete(name: string): Promise<T | undefined>;
  /** What passes a query now, and every later change of what passes it, with no gap between. */
  watch(query: T): Subscription<T>;
  /** Ends watches and, in a lasting store, closes the file; writes under way are finished first. */
  close(): Promise<void>;
}

/** What a registry keeps. */
export interface Stores {
  readonly services: Store<NetworkService>;
  readonly endpoints: Store<NetworkServiceEndpoint>;
  /** Finishes writes under way, ends watches, and closes what holds the stores. */
  close(): Promise<void>;
}
