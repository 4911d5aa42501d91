import { createFeed, type Change, type Feed } from './feed.ts';
import { createIndex, type NameIndex } from './index-by-name.ts';
import type { Entry, Kind } from './kind.ts';
import type { Store } from './store.ts';

/** The part of a store that answers reads and watches. */
export interface Table<T> extends Pick<Store<T>, 'get' | 'list' | 'ownedBy' | 'query' | 'watch'> {
  readonly index: NameIndex<T>;
  readonly feed: Feed<T>;
  /** Makes a change visible to readers and watchers. */
  apply(change: Change<T>): void;
}

export function createTable<T extends Entry>(kind: Kind<T>, maxBehind?: number): Table<T> {
  const index = createIndex(kind);
  const feed = createFeed<T>(maxBehind);
  return {
    index,
    feed,
    get: (name) => index.get(name),
    list: () => index.values(),
    ownedBy: (owner) => index.ownedBy(owner),
    query: (query) => index.query(query),
    watch: (query) => feed.subscribe((entry) => kind.matches(query, entry), index.query(query)),
    apply: (change) => {
      if (change.deleted) index.delete(change.entry.name);
      else index.set(change.entry);
      feed.publish(change);
    },
  };
}

/** A store that lasts as long as its process. `maxBehind`: how far behind a watcher may be. */
export function createMemoryStore<T extends Entry>(kind: Kind<T>, maxBehind?: number): Store<T> {
  const table = createTable(kind, maxBehind);
  let revision = 0;
  return {
    get revision() {
      return revision;
    },
    get: (name) => table.get(name),
    list: () => table.list(),
    ownedBy: (owner) => table.ownedBy(owner),
    query: (query) => table.query(query),
    watch: (query) => table.watch(query),
    put: async (entry) => {
      revision += 1;
      table.apply({ entry, deleted: false });
    },
    delete: async (name) => {
      const was = table.get(name);
      if (was === undefined) return undefined;
      revision += 1;
      table.apply({ entry: was, deleted: true });
      return was;
    },
    close: async () => table.feed.close(),
  };
}
