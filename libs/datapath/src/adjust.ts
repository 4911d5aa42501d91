import { difference, type EndState, wantedState } from './change.ts';
import type { LinkState, Namespace } from './kernel.ts';
import type { OpenEnd } from './open.ts';
import { type End, endsOf, type Plan } from './plan.ts';

/**
 * Turns links that are there into what the plan wants, from what `was` made of them or, without it, from what the kernel says.
 * Puts everything back when that fails.
 */
export function adjust(
  ends: readonly OpenEnd[],
  links: readonly LinkState[],
  was: Plan | undefined,
): void {
  const steps = ends.flatMap(({ end, alias, space }, i) => {
    const link = links[i];
    if (link === undefined) return [];
    const known = was === undefined ? undefined : endsOf(was)[i]?.end;
    return [{ space, link, now: stateOf(space, link, known), wanted: wantedState(end, alias) }];
  });
  const done: typeof steps = [];
  try {
    for (const step of steps) {
      done.push(step);
      step.space.apply(difference(step.link, step.now, step.wanted));
    }
  } catch (error) {
    for (const { space, link, now, wanted } of done.reverse()) {
      try {
        space.apply(difference(link, wanted, now));
      } catch {
        // Part of it was never done, so undoing it may fail; the first error is the one to know.
      }
    }
    throw error;
  }
}

function stateOf(space: Namespace, link: LinkState, known: End | undefined): EndState {
  const { name, alias, up, mac, mtu } = link;
  // A link that is down has lost its routes, whoever took it down.
  const { addresses, routes, neighbours } =
    (up ? known : undefined) ?? space.programmed(link.index);
  return {
    name,
    alias,
    up,
    mac,
    mtu,
    addresses,
    routes,
    neighbours,
    sysctls: known?.sysctls ?? [],
  };
}
