import { formatAlias, isMarked, type Mark, REAPER_GROUP, tombstoneName } from './alias.ts';
import type { CountedLink } from './census.ts';
import { codeOf } from './error.ts';
import type { Change, Device, Kernel, LinkState, Namespace } from './kernel.ts';
import { withNamespace } from './open.ts';
import type { End, Plan } from './plan.ts';
import { orphanChanges, policyChanges } from './policies.ts';

/**
 * Takes one end out of service: down (traffic stops), another name (the old one is free), no addresses, and in the group that the
 * reaper deletes. Deleting it here would block every other job for 20 ms, and so would taking a tunnel down (vxlan_sock_release
 * waits for RCU): a tunnel loses its addresses and routes, which stops what is carried as well.
 * @param index of the link when it was made or last looked at, if that is known: one of a billion, so it is no other link's now
 * @returns whether a link waits for the reaper now; undefined: the namespace is gone, or cannot be seen from here
 */
export const bury = (
  kernel: Kernel,
  mark: Mark,
  kind: Plan['link']['kind'],
  end: End,
  index?: number,
): boolean | undefined =>
  withNamespace(kernel, end.netns, (space) => {
    if (index !== undefined && takeOut(space, { index, name: end.name, kind }, end)) return true;
    const named = space.link(end.name);
    const ours = named !== undefined && isMarked(named.alias, mark) ? named : undefined;
    // A workload may have renamed it, which leaves its index: one that was known is gone then, most often with its other end.
    const link = ours ?? (index === undefined ? findMarked(space.links(), mark) : undefined);
    if (link !== undefined) return takeOut(space, link, end);
    // Rules stay when their link goes.
    if (end.policies !== undefined) space.apply(orphanChanges(space));
    return false;
  });

/**
 * Takes a link out of service as `bury` does, known by nothing but what a census saw of it. One that is another's by now is left.
 * @returns its tunnel `<vni>/<port>`, or an empty text for a pair; undefined when there was nothing to take
 */
export const buryCounted = (kernel: Kernel, counted: CountedLink): string | undefined =>
  withNamespace(kernel, counted.netns, (space) => {
    const link = space.link(counted.index);
    if (link === undefined || link.group === REAPER_GROUP || link.alias !== formatAlias(counted))
      return undefined;
    if (!takeOut(space, link, space.programmed(link.index))) return undefined;
    return link.vxlan === undefined ? '' : `${link.vxlan.vni}/${link.vxlan.port}`;
  });

function takeOut(
  space: Namespace,
  link: Pick<LinkState, 'index' | 'name' | 'kind'>,
  {
    addresses,
    routes,
    policies,
  }: Pick<End, 'addresses' | 'routes'> & {
    readonly policies?: End['policies'] | undefined;
  },
): boolean {
  if (policies !== undefined) space.apply(policyChanges(space, link, []));
  const grave = { name: tombstoneName(link.index), group: REAPER_GROUP };
  return applied(space, link, [
    // Without routes and addresses a link that goes down is nothing the kernel has to look through its tables for.
    ...routes.map((route): Change => ({ op: 'no-route', dev: link, route })),
    ...addresses.map((address): Change => ({ op: 'no-address', dev: link, address })),
    { op: 'set', dev: link, to: link.kind === 'vxlan' ? grave : { ...grave, up: false } },
  ]);
}

const down = (dev: Device): Change => ({ op: 'set', dev, to: { up: false } });

/** False when the link went meanwhile: the reaper takes both ends of a pair as soon as one of them is buried. */
function applied(space: Namespace, link: Device, changes: readonly Change[]): boolean {
  try {
    space.apply(changes);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENODEV') return false;
    // Kernels before 6.2 rename only what is down.
    if (codeOf(error) !== 'EBUSY') throw error;
    space.apply([down(link), ...changes]);
    return true;
  }
}

/**
 * Deletes what is buried in a namespace, and the rules that were left behind; waits in the kernel for about 20 ms. A namespace that
 * is gone needs no reaping.
 * @param nsid its number at home, by which the links can be deleted without finding it: whoever closed the wire may have brought
 * the descriptor. Where the number is another's by now, what is buried there may go as well.
 */
export function reap(kernel: Kernel, netns: string, nsid?: number): void {
  const found = withNamespace(kernel, netns, (space) => {
    space.apply([{ op: 'delete-group', group: REAPER_GROUP }]);
    space.apply(orphanChanges(space));
    return true;
  });
  if (found === undefined && nsid !== undefined) kernel.deleteGroupAt(nsid, REAPER_GROUP);
}

/** The link of this end under whatever name, unless it waits for the reaper. */
export const findMarked = (links: readonly LinkState[], mark: Mark): LinkState | undefined =>
  links.find(({ alias, group }) => group !== REAPER_GROUP && isMarked(alias, mark));
