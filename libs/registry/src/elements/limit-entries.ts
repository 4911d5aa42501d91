import { subjectOf } from '@nsm/identity';
import { NsmError } from '@nsm/rpc';
import type { RegistryElement } from '../call.ts';
import type { Entry } from '../kind.ts';
import type { Store } from '../store.ts';

/** Entries of one kind that one identity may own where nobody says otherwise. */
const MAX_ENTRIES = 10_000;

/** Refuses a new name of an origin that owns as many as it may (`exhausted`). Where connections prove nobody, nothing is counted. */
export const limitEntries = <T extends Entry>(
  store: Pick<Store<T>, 'get' | 'ownedBy'>,
  max = MAX_ENTRIES,
): RegistryElement<T> => ({
  name: 'limit-entries',
  run: async (call, next) => {
    const { op, peer, entry, path } = call;
    if (!peer || op !== 'register' || store.get(entry.name) !== undefined) return next(call);
    const origin = subjectOf(path.tokens[0] ?? '') ?? '';
    const owned = store.ownedBy(origin);
    if (owned >= max)
      throw new NsmError('exhausted', `${origin} owns ${owned} entries, and may own ${max}`, {
        hint: 'unregister some of them, or raise NSM_MAX_ENTRIES_PER_IDENTITY',
        limit: 'entries',
      });
    return next(call);
  },
});
