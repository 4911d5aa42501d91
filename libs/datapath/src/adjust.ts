import { difference, type EndState, wantedState } from './change.ts';
import type { LinkState, Namespace } from './kernel.ts';
import type { OpenEnd } from './open.ts';
import { type End, endsOf, type Plan } from './plan.ts';
import { policyChanges } from './policies.ts';
import type { KeyPair } from './wireguard/key.ts';
import { adjustDevice } from './wireguard/kernel-wire.ts';

/**
 * Turns links that are there into what the plan wants, from what `was` made of them or, without it, from what the kernel says.
 * Puts everything back when that fails.
 */
export function adjust(
  plan: Plan,
  ends: readonly OpenEnd[],
  links: readonly LinkState[],
  was: Plan | undefined,
  keys: KeyPair | undefined,
): void {
  const steps = ends.flatMap(({ end, alias, space }, i) => {
    const link = links[i];
    if (link === undefined) return [];
    const known = was === undefined ? undefined : endsOf(was)[i]?.end;
    return [
      { space, link, now: stateOf(space, link, known), wanted: wantedState(end, alias, link.kind) },
    ];
  });
  const done: typeof steps = [];
  const devices: (() => void)[] = [];
  try {
    if (keys !== undefined)
      for (const { space, link } of steps) devices.push(adjustDevice(plan, was, space, link, keys));
    for (const step of steps) {
      done.push(step);
      turn(step.space, step.link, step.now, step.wanted);
    }
  } catch (error) {
    for (const { space, link, now, wanted } of done.reverse()) {
      try {
        turn(space, link, wanted, now);
      } catch {
        // Part of it was never done, so undoing it may fail; the first error is the one to know.
      }
    }
    for (const putBack of devices) putBack();
    throw error;
  }
}

function turn(space: Namespace, dev: LinkState, from: EndState, to: EndState): void {
  const added = to.addresses.filter((address) => !from.addresses.includes(address));
  space.apply(difference(dev, from, to));
  space.settle(dev, { carrier: !from.up && to.up && dev.kind === 'veth', addresses: added });
  // By what the kernel has after that: an address or a link that goes takes routes along, in every table.
  if (from.policies !== undefined || to.policies !== undefined)
    space.apply(policyChanges(space, dev, to.policies ?? []));
}

function stateOf(space: Namespace, link: LinkState, known: End | undefined): EndState {
  const { name, alias, up, mac, mtu } = link;
  // A link that is down has lost its routes, whoever took it down.
  const { addresses, routes, neighbours, policies } =
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
    ...(policies === undefined ? {} : { policies }),
    sysctls: known?.sysctls ?? [],
  };
}
