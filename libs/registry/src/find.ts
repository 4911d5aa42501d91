import type { Change } from './feed.ts';
import type { Entry } from './kind.ts';
import type { Store } from './store.ts';

/** How a Find is answered. */
export interface FindOptions {
  /** Go on with later changes until the signal aborts. */
  readonly watch: boolean;
  readonly signal: AbortSignal;
  /** In ms since 1970. */
  readonly deadline: number | undefined;
}

/** Answers Find calls (contract 6.2). */
export type Find<T extends Entry> = (query: T, options: FindOptions) => AsyncIterable<Change<T>>;

/** Find over a store: the matches, and for a watch every later change of them. */
export const findIn = <T extends Entry>(store: Pick<Store<T>, 'query' | 'watch'>): Find<T> =>
  async function* (query, { watch, signal }) {
    if (!watch) {
      for (const entry of store.query(query)) yield { entry, deleted: false };
      return;
    }
    const subscription = store.watch(query);
    try {
      for (const entry of subscription.snapshot) yield { entry, deleted: false };
      yield* subscription.changes(signal);
    } finally {
      subscription.close();
    }
  };
