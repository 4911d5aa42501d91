import { contains, formatPrefix, network, parseAddress, parsePrefix } from '@nsm/ip';
import { NetlinkError } from '@nsm/netlink';
import { DatapathError } from './error.ts';
import type { Change, Device, KnownFilter, LinkState, TableRoute } from './kernel.ts';
import { filterName } from './kernel.ts';
import type { PlannedNeighbour, PlannedRoute } from './plan.ts';
import { type DeviceState, endpointOf } from './wireguard/device.ts';

/** A link of the kernel in memory, with what is on it. */
export interface Entry {
  state: LinkState;
  addresses: string[];
  routes: PlannedRoute[];
  tableRoutes: TableRoute[];
  neighbours: PlannedNeighbour[];
  /** The other end of a pair. */
  pair?: { readonly netns: string; readonly index: number };
  /** The node whose addresses carry a tunnel. */
  node?: string;
  /** What a WireGuard device is set to. */
  device?: DeviceState;
  /** What tc has, once the link has a qdisc for it. */
  filters?: KnownFilter[];
}

const ERRNO = { ENODEV: 19, EEXIST: 17, ENETDOWN: 100, EINVAL: 22 } as const;
/** The link of the longest matching route, of those that are up. */
export function routeOut(links: ReadonlyMap<number, Entry>, dst: string): Entry | undefined {
  const to = parseAddress(dst);
  return [...links.values()]
    .filter(({ state }) => state.up)
    .flatMap((entry) => entry.routes.map((route) => ({ entry, prefix: parsePrefix(route.to) })))
    .filter(({ prefix }) => contains(prefix, to))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)[0]?.entry;
}

export type BirthOp = Extract<
  Change,
  { op: 'add-veth' | 'add-vxlan' | 'add-wireguard' | 'add-bridge' | 'add-vlan' }
>;
type LinkOp = Exclude<
  Change,
  BirthOp | { op: 'move' | 'sysctl' | 'delete-group' | 'rule' | 'no-rule' }
>;

export function onLink(
  netns: string,
  links: Map<number, Entry>,
  entry: Entry,
  change: LinkOp,
  drop: () => void,
): void {
  switch (change.op) {
    case 'delete': {
      drop();
      return;
    }
    case 'set': {
      const { addrGenMode: _, promisc: __, master, ...to } = change.to;
      const holder = to.name === undefined ? undefined : named(links, to.name);
      if (holder !== undefined && holder !== entry)
        throw refusal(
          `ip -n ${netns} link set dev ${change.dev.name} name ${to.name ?? ''}`,
          'EEXIST',
        );
      if (to.mac !== undefined && to.mac !== entry.state.mac) entry.neighbours = [];
      entry.state = { ...entry.state, ...to, ...(master === undefined ? {} : { master }) };
      // The kernel flushes IPv6 addresses and all routes of a link that goes down.
      if (to.up === false) {
        entry.routes = [];
        entry.tableRoutes = [];
        entry.addresses = entry.addresses.filter((address) => !isSix(address));
        entry.neighbours = [];
      }
      return;
    }
    case 'wireguard': {
      const { keys, link, newPeer } = change.setting;
      const peer = { key: link.peerKey, endpoint: endpointOf(link) };
      const stay = newPeer ? [] : (entry.device?.peers ?? []).filter(({ key }) => key !== peer.key);
      entry.device = { keys, port: link.port, peers: [...stay, peer] };
      return;
    }
    case 'clsact':
      entry.filters ??= [];
      return;
    case 'no-clsact':
      delete entry.filters;
      return;
    case 'filter': {
      const { handle } = change.filter;
      if (entry.filters === undefined)
        throw refusal(`tc -n ${netns} filter add dev ${change.dev.name} ingress`, 'EINVAL');
      entry.filters = entry.filters.filter((known) => known.handle !== handle);
      entry.filters.push({ handle, name: filterName(change.filter), ours: true });
      return;
    }
    case 'no-filter':
      if (entry.filters !== undefined)
        entry.filters = entry.filters.filter(({ handle }) => handle !== change.handle);
      return;
    case 'address': {
      const host = (address: string): string => address.split('/')[0] ?? '';
      const six = isSix(change.address);
      const known = entry.addresses.some((address) =>
        six ? host(address) === host(change.address) : address === change.address,
      );
      if (!known) entry.addresses.push(change.address);
      return;
    }
    case 'no-address':
      removeAddress(entry, change.address);
      return;
    case 'route':
      if (!entry.state.up)
        throw refusal(
          `ip -n ${netns} route replace ${change.route.to} dev ${entry.state.name}`,
          'ENETDOWN',
        );
      replaceRoute(entry, change.route, change.table, [change.route]);
      return;
    case 'no-route':
      replaceRoute(entry, change.route, change.table, []);
      return;
    case 'neighbour':
      entry.neighbours = [
        ...entry.neighbours.filter(({ to }) => to !== change.neighbour.to),
        change.neighbour,
      ];
      return;
    case 'no-neighbour':
      entry.neighbours = entry.neighbours.filter(({ to }) => to !== change.neighbour.to);
      return;
  }
}

/** A table has a destination once, whatever its way. */
function replaceRoute(
  entry: Entry,
  { to }: PlannedRoute,
  table: number | undefined,
  by: readonly PlannedRoute[],
): void {
  const { index } = entry.state;
  if (table === undefined)
    entry.routes = [...entry.routes.filter((route) => route.to !== to), ...by];
  else
    entry.tableRoutes = [
      ...entry.tableRoutes.filter((other) => other.table !== table || other.route.to !== to),
      ...by.map((route) => ({ table, index, route })),
    ];
}

/** As the kernel does, an IPv4 address takes the later ones of its subnet along, and the last one the routes and neighbours. */
function removeAddress(entry: Entry, address: string): void {
  const at = entry.addresses.indexOf(address);
  if (at === -1) return;
  const subnet = (text: string): string => formatPrefix(network(parsePrefix(text)));
  const goes = (other: string, i: number): boolean =>
    i === at || (!isSix(address) && i > at && subnet(other) === subnet(address));
  entry.addresses = entry.addresses.filter((other, i) => !goes(other, i));
  if (isSix(address) || entry.addresses.some((other) => !isSix(other))) return;
  entry.routes = entry.routes.filter(({ to }) => isSix(to));
  entry.tableRoutes = entry.tableRoutes.filter(({ route }) => isSix(route.to));
  entry.neighbours = entry.neighbours.filter(({ to }) => isSix(to));
}

const isSix = (text: string): boolean => text.includes(':');

export const named = (links: ReadonlyMap<number, Entry>, name: string): Entry | undefined =>
  [...links.values()].find(({ state }) => state.name === name);

export const refusal = (words: string, code: keyof typeof ERRNO, detail = ''): DatapathError => {
  const { message, errno } = new NetlinkError(words, { errno: ERRNO[code], detail });
  return new DatapathError({ message, code, errno, operation: words });
};

export const noDevice = (netns: string, { name }: Device): DatapathError =>
  refusal(`ip -n ${netns} link set dev ${name}`, 'ENODEV');
