import { formatAddress, formatPrefix } from '@nsm/ip';
import {
  type InstalledRoute,
  type Link,
  listAddresses,
  listLinks,
  listNeighbours,
  listRoutes,
  NetlinkError,
  type Netns,
  type Rtnetlink,
  withRtnetlink,
} from '@nsm/netlink';

/** A link of a namespace with all that hangs on it, as text. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  /** `veth`, `vxlan`, `bridge`; empty for loopback. */
  readonly kind: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** Whose it is: a connection's mark, or empty. */
  readonly alias: string;
  readonly group: number;
  /** `address/length`, in order. */
  readonly addresses: readonly string[];
  /** `prefix [via gateway]`, in order. */
  readonly routes: readonly string[];
  /** `address lladdr mac`, permanent ones only: the others come and go with traffic. */
  readonly neighbours: readonly string[];
}

/** The links of a namespace in the order of their names. @throws Error ENOENT when it is gone, Errno, NetlinkError */
export const interfacesOf = (netns: Netns): Interface[] =>
  withRtnetlink(netns, (rt) =>
    listLinks(rt)
      .flatMap((link) => interfaceOf(rt, link) ?? [])
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  );

/** Undefined when the link went between the list and the look at it. */
function interfaceOf(rt: Rtnetlink, link: Link): Interface | undefined {
  const { index, name, kind, up, mtu, mac, alias, group } = link;
  try {
    const addresses = listAddresses(rt, index).map(({ address }) => formatPrefix(address));
    const neighbours = listNeighbours(rt, index)
      .filter(({ state }) => state === 'permanent')
      .map(({ to, mac: lladdr }) => `${formatAddress(to)} lladdr ${lladdr}`);
    return {
      ...{ index, name, kind, up, mtu, mac, alias, group },
      addresses: addresses.sort(),
      routes: listRoutes(rt, index).map(routeText).sort(),
      neighbours: neighbours.sort(),
    };
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

const routeText = ({ to, via }: InstalledRoute): string =>
  `${formatPrefix(to)}${via === undefined ? '' : ` via ${formatAddress(via)}`}`;
