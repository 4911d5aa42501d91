import { hostPrefix, parseAddress, parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  getLink,
  linkSet,
  openNetns,
  routeReplace,
  vethAdd,
  vxlanAdd,
  withRtnetlink,
} from '@nsm/netlink';
import { closeSync } from 'node:fs';
import type { Lab } from '@nsm/lab';

/** What one would type: `ip link add veth`, addresses, routes, up. Returns the far end's address. */
export function handMadeVeth(lab: Lab, from: string, to: string): string {
  const far = openNetns(lab.netns(to));
  try {
    withRtnetlink(lab.netns(from), (rt) => {
      rt.request([vethAdd({ name: 'hand0' }, { name: 'hand0', netns: far })]);
    });
  } finally {
    closeSync(far);
  }
  configure(lab.netns(from), '192.0.2.1', '192.0.2.0');
  configure(lab.netns(to), '192.0.2.0', '192.0.2.1');
  return '192.0.2.0';
}

/** The same with a VXLAN device of each node moved into its pod. */
export function handMadeVxlan(
  lab: Lab,
  ends: readonly {
    readonly node: string;
    readonly pod: string;
    readonly ip: string;
    readonly peer: string;
  }[],
): string {
  for (const [i, { node, pod, ip, peer }] of ends.entries()) {
    const target = openNetns(lab.netns(pod));
    try {
      withRtnetlink(lab.netns(node), (rt) => {
        rt.request([
          vxlanAdd(
            { name: 'hand1', mtu: 1446, netns: target },
            { vni: 77, local: parseAddress(ip), remote: parseAddress(peer), port: 4789 },
          ),
        ]);
      });
    } finally {
      closeSync(target);
    }
    configure(lab.netns(pod), `192.0.2.${3 - i}`, `192.0.2.${2 + i}`, 'hand1');
  }
  return '192.0.2.2';
}

function configure(netns: string, own: string, peer: string, name = 'hand0'): void {
  withRtnetlink(netns, (rt) => {
    const link = getLink(rt, name);
    if (!link) throw new Error(`${name} was not made`);
    rt.request([
      linkSet(link, { up: true }),
      addressReplace(link, hostPrefix(parseAddress(own))),
      routeReplace(link, { to: parsePrefix(`${peer}/32`), scope: 'link' }),
    ]);
  });
}
