/** For tests: an identity source that has what it is given. */
import type { Clock } from '@nsm/chain';
import type { Identity, IdentitySource } from '@nsm/rpc';
import { createHolder } from './source.ts';

/** A source with an identity; `set` replaces it. */
export function heldIdentity(
  identity: Identity,
  clock: Clock,
): IdentitySource & { set(identity: Identity): void } {
  const holder = createHolder(clock, () => undefined);
  holder.set(identity);
  return holder;
}
