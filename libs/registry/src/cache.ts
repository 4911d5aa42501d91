import type { Clock } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import type { KindClient, RegistryClient } from './client.ts';
import type { LookupOptions } from './discovery.ts';
import { createFeed, type Change, type Subscription } from './feed.ts';
import { createIndex } from './index-by-name.ts';
import type { Entry } from './kind.ts';
import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';

/** What is known here of one kind of record of a registry, fed by one watch. */
export interface KindCache<T extends Entry> {
  /**
   * All that match, from memory where what is known is in sync and has a match; otherwise the registry is asked. A
   * registry that cannot be reached leaves what was last known to answer.
   */
  find(query: Partial<T>, options?: LookupOptions): Promise<readonly T[]>;
  /** What matches as far as is known, and its changes; it stays open while the registry is away. */
  watch(query: Partial<T>): Subscription<T>;
  /** The record of a name as far as is known. */
  get(name: string): T | undefined;
  /** A record that was registered through here: the next `find` sees it, whatever the watch has yet to tell. */
  put(entry: T): void;
  /** A record that was unregistered through here. */
  forget(name: string): void;
  /** Calls `listener` for each name that the registry has lost while it could not be heard. */
  onGone(listener: (name: string) => void): void;
  /** Calls `listener` for each record that comes or changes, and for each that is deleted within hearing, as it last was. */
  onChange(listener: (change: Change<T>) => void): void;
  /** Calls `listener` whenever the registry is heard again, or cannot be heard any more. */
  onSynced(listener: (synced: boolean) => void): void;
  readonly synced: boolean;
}

/** What is known here of a registry. */
export interface RegistryCache {
  readonly services: KindCache<NetworkService>;
  readonly endpoints: KindCache<NetworkServiceEndpoint>;
  /** Ends the watches above and those handed out. */
  close(): Promise<void>;
}

/** A direct question waits no longer than this where there is something to fall back on, in ms. */
const IMPATIENCE_MS = 1_000;

/** Follows a registry from now on: one watch for each kind of record. */
export function createRegistryCache(client: RegistryClient, clock: Clock): RegistryCache {
  const stopping = new AbortController();
  const services = cacheOf(client.services, clock, stopping.signal);
  const endpoints = cacheOf(client.endpoints, clock, stopping.signal);
  return {
    services: services.cache,
    endpoints: endpoints.cache,
    close: async () => {
      stopping.abort(new NsmError('cancelled', 'the cache was closed'));
      await Promise.all([services.done, endpoints.done]);
    },
  };
}

function cacheOf<T extends Entry>(
  client: KindClient<T>,
  clock: Clock,
  signal: AbortSignal,
): { cache: KindCache<T>; done: Promise<void> } {
  const { kind } = client;
  const index = createIndex(kind);
  const feed = createFeed<T>();
  /** Registered through here and not yet told of by the watch; `stream` counts the streams of the watch. */
  const fresh = new Map<string, { readonly entry: T; readonly stream: number }>();
  const listeners = new Set<(name: string) => void>();
  const hearing = new Set<(synced: boolean) => void>();
  const changes = new Set<(change: Change<T>) => void>();
  let stream = 0;
  let synced = false;

  const gone = (name: string): void => {
    for (const listener of listeners) listener(name);
  };

  const done = client
    .follow({}, signal, (event) => {
      switch (event.type) {
        case 'put': {
          const { entry } = event;
          index.set(entry);
          const own = fresh.get(entry.name);
          if (own && kind.same(own.entry, entry)) fresh.delete(entry.name);
          feed.publish({ entry, deleted: false });
          for (const listener of changes) listener({ entry, deleted: false });
          return;
        }
        case 'deleted':
          index.delete(event.entry.name);
          feed.publish({ entry: event.entry, deleted: true });
          // While nothing could be heard it was lost; what is deleted within hearing is somebody's decision.
          if (!synced) gone(event.entry.name);
          else for (const listener of changes) listener({ entry: event.entry, deleted: true });
          return;
        case 'synced':
          synced = true;
          for (const listener of hearing) listener(true);
          // What was registered before the last break and is not there now has been lost with the registry.
          for (const [name, own] of fresh) {
            if (own.stream === stream) continue;
            fresh.delete(name);
            if (index.get(name) === undefined) gone(name);
          }
          return;
        case 'lost':
          synced = false;
          for (const listener of hearing) listener(false);
          stream += 1;
          return;
      }
    })
    .finally(() => feed.close());

  /** `found` as it is with what was registered through here. */
  const withFresh = (query: T, found: readonly T[]): readonly T[] => {
    if (fresh.size === 0) return found;
    const own = [...fresh.values()].flatMap(({ entry }) =>
      kind.matches(query, entry) ? [entry] : [],
    );
    return [...found.filter(({ name }) => !fresh.has(name)), ...own];
  };

  const cache: KindCache<T> = {
    get synced() {
      return synced;
    },
    find: async (partial, options = {}) => {
      const query = kind.query(partial);
      const known = withFresh(query, index.query(query));
      if (synced && known.length > 0) return known;
      try {
        return withFresh(query, await client.find(partial, patience(options, known, clock)));
      } catch (err) {
        if (known.length > 0 && !options.signal?.aborted && NsmError.from(err).retry) return known;
        throw err;
      }
    },
    watch: (partial) => {
      const query = kind.query(partial);
      return feed.subscribe(
        (entry) => kind.matches(query, entry),
        withFresh(query, index.query(query)),
      );
    },
    get: (name) => fresh.get(name)?.entry ?? index.get(name),
    put: (entry) => void fresh.set(entry.name, { entry, stream }),
    forget: (name) => {
      fresh.delete(name);
      index.delete(name);
    },
    onSynced: (listener) => void hearing.add(listener),
    onGone: (listener) => void listeners.add(listener),
    onChange: (listener) => void changes.add(listener),
  };
  return { cache, done };
}

const patience = (
  options: LookupOptions,
  known: readonly unknown[],
  clock: Clock,
): LookupOptions => {
  if (known.length === 0) return options;
  const soon = clock.now() + IMPATIENCE_MS;
  return { ...options, deadline: Math.min(options.deadline ?? soon, soon) };
};
