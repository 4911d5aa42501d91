import type { Clock } from '@nsm/chain';
import { subjectOf } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import { withEntry, type RegistryCall, type RegistryElement } from '../call.ts';
import type { Entry, Kind } from '../kind.ts';

export interface AuthorizeOptions<T extends Entry> {
  readonly policies: Policies;
  readonly kind: Kind<T>;
  /** What is registered under a name: its first `path_id` is the owner. */
  readonly get: (name: string) => T | undefined;
  readonly clock: Clock;
}

/**
 * Refuses what policies do not allow, before anything has been done (contract 2.10). Stands below update-path. A service that says
 * what is there already may be registered by anybody and stays its owner's: several endpoints offer it. The hop that an entry came
 * through may unregister it in its own name, as upstream's managers do when it expires: it could show the owner's token as well.
 */
export const authorize = <T extends Entry>({
  policies,
  kind,
  get,
  clock,
}: AuthorizeOptions<T>): RegistryElement<T> => ({
  name: 'authorize',
  run: async (call, next) => {
    const { op, peer, entry, path } = call;
    if (!peer) return next(call);
    const there = get(entry.name);
    const owner = there?.pathIds[0];
    const origin = subjectOf(path.tokens[0] ?? '');
    const again = there && owner !== origin && saysTheSame(call, there, kind);
    const cleaning =
      op === 'unregister' && origin !== undefined && there?.pathIds.at(-2) === origin;
    policies.check({
      op,
      peer,
      tokens: path.tokens.slice(0, path.index + 1),
      index: path.index,
      now: clock.now(),
      entry,
      owner: again || cleaning ? undefined : owner,
    });
    return next(again ? withEntry(call, { pathIds: there.pathIds } as Partial<T>) : call);
  },
});

const saysTheSame = <T extends Entry>({ op, entry }: RegistryCall<T>, there: T, kind: Kind<T>) =>
  op === 'register' && kind.noun === 'NetworkService' && kind.same(entry, there);
