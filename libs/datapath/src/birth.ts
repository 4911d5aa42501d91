import { carriedChanges, programChanges } from './change.ts';
import { codeOf } from './error.ts';
import type { Birth, Change, Device, Kernel, Namespace } from './kernel.ts';
import type { OpenEnd } from './open.ts';
import type { Plan, Vxlan, Wireguard } from './plan.ts';
import { orphanChanges, policyChanges } from './policies.ts';
import { bearPort } from './segment.ts';
import type { KeyPair } from './wireguard/key.ts';
import { setNewDevice } from './wireguard/kernel-wire.ts';
import { takeDevice } from './wireguard/take.ts';

/** A used index and a used name look the same (EEXIST), and an index is drawn from a billion: one more try settles which it was. */
const ATTEMPTS = 3;

/**
 * Makes the links of a plan and programs them; removes them again when anything fails.
 *
 * The birth is a call of its own: after a refusal the kernel runs the rest of a batch, and if the index was somebody's, the rest
 * would be done to that link.
 * @param prepared namespaces whose settings are made already; those of this birth join them
 * @param freeTunnel reaps a buried tunnel `<vni>/<port>` now, if there is one
 * @param keys of a WireGuard device that the kernel shall make; without them a process has made it
 * @returns the links, in the order of the ends
 */
export function birth(
  kernel: Kernel,
  { plan, keys }: { readonly plan: Plan; readonly keys?: KeyPair | undefined },
  ends: readonly OpenEnd[],
  prepared: Map<string, true>,
  freeTunnel: (tunnel: string) => void,
): readonly Device[] {
  const devices =
    plan.link.kind === 'wireguard' && keys === undefined
      ? [takeDevice(kernel, plan, ends[0])]
      : bear(kernel, plan, ends, freeTunnel);
  try {
    ends.forEach(({ end, alias, space }, i) => {
      const dev = devices[i];
      if (dev === undefined) return;
      if (keys !== undefined) setNewDevice(plan.link, space, dev, keys);
      space.apply(programChanges(dev, end, alias, prepared.has(space.netns)));
      prepared.set(space.netns, true);
      if (end.policies !== undefined) space.apply(policyChanges(space, dev, end.policies));
    });
    // A tunnel has no carrier to wait for, whoever made it.
    const carrier = plan.link.kind === 'veth' || plan.link.kind === 'vlan';
    ends.forEach(({ space, end }, i) => {
      const dev = devices[i];
      if (dev === undefined) return;
      space.settle(dev, { carrier, addresses: end.addresses });
      const carried = carriedChanges(dev, end);
      if (carried.length > 0) space.apply(carried);
    });
    return devices;
  } catch (error) {
    for (const [i, { space, end }] of ends.entries()) {
      const dev = devices[i];
      if (dev === undefined) continue;
      space.apply([{ op: 'delete', dev }]);
      if (end.policies !== undefined) space.apply(orphanChanges(space));
    }
    throw error;
  }
}

function bear(
  kernel: Kernel,
  plan: Plan,
  ends: readonly OpenEnd[],
  freeTunnel: (tunnel: string) => void,
): Device[] {
  for (let attempt = 1; ; attempt += 1) {
    const born = ends.map(({ end }): Birth => {
      const { name, mac, mtu } = end;
      return { name, mac, index: kernel.newIndex(), ...(mtu === undefined ? {} : { mtu }) };
    });
    try {
      bearOnce(kernel, plan, ends, born);
      return born;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST' || attempt === ATTEMPTS) throw error;
      if (plan.link.kind === 'vxlan') freeTunnel(`${plan.link.vni}/${plan.link.port}`);
    }
  }
}

function bearOnce(
  kernel: Kernel,
  plan: Plan,
  ends: readonly OpenEnd[],
  born: readonly Birth[],
): void {
  const { link } = plan;
  const [first, second] = ends;
  const [one, other] = born;
  if (first === undefined || one === undefined) throw new Error('a plan has an end');
  if (link.kind === 'veth') {
    if (second === undefined || other === undefined) throw new Error('a veth pair has two ends');
    first.space.apply([{ op: 'add-veth', link: one, peer: other, peerIn: second.space }]);
    return;
  }
  if (link.kind === 'vlan') {
    bearPort(kernel, plan, link, one, first.space);
    return;
  }
  const home = kernel.home();
  try {
    home.apply([tunnelBirth(link, one, first.space)]);
  } finally {
    home.leave();
  }
}

function tunnelBirth(tunnel: Vxlan | Wireguard, link: Birth, bornIn: Namespace): Change {
  if (tunnel.kind === 'wireguard') return { op: 'add-wireguard', link, bornIn };
  const { vni, local, remote, port } = tunnel;
  return { op: 'add-vxlan', link, bornIn, tunnel: { vni, local, remote, port } };
}
