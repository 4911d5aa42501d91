import { slot, type Scope, untraced } from '@nsm/chain';
import { answer, type RegistryElement } from '../call.ts';
import type { Entry } from '../kind.ts';
import { emptyPath } from '../registry-path.ts';
import type { Store } from '../store.ts';

/** Keeps the entry in the store for as long as it is registered (contract 6.3: the answer is the stored value). */
export function keep<T extends Entry>(store: Store<T>): RegistryElement<T> {
  const kept = slot<T>('kept');
  return {
    name: 'keep',
    run: async (call, next) => {
      const { entry, scope } = call;
      scope.hold(
        kept,
        entry,
        async () => {
          if (store.get(entry.name) !== undefined) await store.delete(entry.name);
        },
        async (was) => {
          // A write that failed has changed nothing, and writing again would fail again.
          if (store.get(was.name) !== was) await store.put(was);
        },
      );
      // Taken up after a restart: it is there, and nothing has become new for watchers.
      if (store.get(entry.name) !== entry) await store.put(entry);
      return next(call);
    },
  };
}

/** Holds what a store has of a name by running `element`, the part of a chain below `begin`, on it. */
export const restoreFrom =
  <T extends Entry>(store: Store<T>, element: () => RegistryElement<T>) =>
  async (name: string, scope: Scope): Promise<void> => {
    const entry = store.get(name);
    if (entry === undefined) return;
    const signal = new AbortController().signal;
    await element().run(
      {
        op: 'register',
        entry,
        path: emptyPath,
        token: undefined,
        own: undefined,
        deadline: undefined,
        scope,
        signal,
        trace: untraced,
      },
      answer,
    );
    scope.commit();
  };
