import { isMarked } from './alias.ts';
import type { Kernel, LinkState } from './kernel.ts';
import type { OpenEnd } from './open.ts';
import { endsOf, type Plan } from './plan.ts';
import { isPlugged } from './segment.ts';

/** Whether what is there is what was planned. */

/** Whether a link of these ends is up and has its name. */
export const asPlanned =
  (ends: readonly Pick<OpenEnd, 'end'>[]) =>
  ({ up, name }: LinkState, i: number): boolean =>
    up && name === ends[i]?.end.name;

/**
 * The links of a plan that was ensured before, if they are as they should be, seen from home. That takes a fraction of the time of
 * entering their namespaces; whatever it does not find in order is looked at there. A number that became another namespace's by
 * now leads to no link with our mark.
 */
export function glance(
  kernel: Kernel,
  plan: Plan,
  numbers: ReadonlyMap<string, number>,
): LinkState[] | undefined {
  // Its segment has to be looked through in any case.
  if (plan.link.kind === 'vlan') return undefined;
  const ends = endsOf(plan);
  const links: LinkState[] = [];
  for (const { side, end } of ends) {
    const nsid = numbers.get(end.netns);
    const link = nsid === undefined ? undefined : kernel.linkAt(nsid, end.name);
    if (link === undefined || !isMarked(link.alias, { id: plan.id, side })) return undefined;
    links.push(link);
  }
  return isWhole(kernel, plan, links) && links.every(asPlanned(ends)) ? links : undefined;
}

/** Whether the links found are the ends of one wire of this plan. */
export function isWhole(
  kernel: Kernel,
  plan: Plan,
  [first, second]: readonly LinkState[],
): boolean {
  const { link } = plan;
  if (link.kind === 'veth')
    return first?.kind === 'veth' && first.peer === second?.index && second?.peer === first.index;
  if (link.kind === 'vlan') return first !== undefined && isPlugged(kernel, plan, link, first);
  // A process's device is a tun to the kernel. Keys and peer are looked at where they are set; here it is a link.
  if (link.kind === 'wireguard') return first?.kind === 'tun' || first?.kind === 'wireguard';
  const { vni, local, remote, port } = link;
  const found = first?.vxlan;
  return (
    found?.vni === vni && found.local === local && found.remote === remote && found.port === port
  );
}
