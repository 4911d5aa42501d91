import type { Mechanism } from '@nsm/proto';

/** Sorts what is offered (contract 3.12): the types that are listed come first, in the order of the list; the rest stays as it is. */
export function byPriority(
  offers: readonly Mechanism[],
  priority: readonly string[],
): readonly Mechanism[] {
  const rank = ({ type }: Mechanism): number =>
    priority.includes(type) ? priority.indexOf(type) : priority.length;
  return offers.toSorted((a, b) => rank(a) - rank(b));
}
