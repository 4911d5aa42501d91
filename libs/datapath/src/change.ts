import { formatPrefix, network, parsePrefix } from '@nsm/ip';
import type { Change, Device, Programmed } from './kernel.ts';
import type { End, PlannedNeighbour, PlannedPolicy, PlannedRoute } from './plan.ts';

/** What the kernel gives a pair that nobody chose an MTU for (ETH_DATA_LEN). */
const VETH_MTU = 1500;

/** An end with everything that can be changed about it while its link lives; its policies have changes of their own. */
export interface EndState extends Omit<Programmed, 'policies'> {
  readonly policies?: readonly PlannedPolicy[];
  readonly name: string;
  readonly alias: string;
  readonly up: boolean;
  readonly mac: string;
  readonly mtu?: number;
  readonly sysctls: End['sysctls'];
}

/** What a plan wants an end to be. A pair that lost its MTU gets the kernel's own back. */
export const wantedState = (end: End, alias: string, kind: string): EndState => ({
  ...(kind === 'veth' ? { mtu: VETH_MTU } : {}),
  ...end,
  alias,
  up: true,
});

/** Everything that has to be set on a link that was just born. `prepared`: the settings of its namespace are made already. */
export function programChanges(dev: Device, end: End, alias: string, prepared: boolean): Change[] {
  // Whether IPv6 is there at all is a setting of the link that counts from when it goes up; those of the namespace can wait, so as
  // not to split the batch.
  const [ofLink, ofNamespace] = [
    end.sysctls.filter(({ path }) => path.includes('/conf/')),
    end.sysctls.filter(({ path }) => !path.includes('/conf/')),
  ];
  return [
    ...ofLink.map((sysctl): Change => ({ op: 'sysctl', sysctl })),
    { op: 'set', dev, to: { alias, up: true } },
    ...end.addresses.map((address): Change => ({ op: 'address', dev, address })),
    ...end.routes.map((route): Change => ({ op: 'route', dev, route })),
    ...neighbourChanges(dev, end, 'permanent'),
    ...(prepared ? [] : ofNamespace.map((sysctl): Change => ({ op: 'sysctl', sysctl }))),
  ];
}

/** Of a link that has its carrier: until then the kernel may forget neighbours that are not permanent (neigh_carrier_down). */
export const carriedChanges = (dev: Device, end: End): Change[] =>
  neighbourChanges(dev, end, 'reachable');

const neighbourChanges = (
  dev: Device,
  { neighbours }: End,
  state: PlannedNeighbour['state'],
): Change[] =>
  neighbours
    .filter((neighbour) => neighbour.state === state)
    .map((neighbour): Change => ({ op: 'neighbour', dev, neighbour }));

/** The changes that turn `now` into `wanted`: settings, then additions, then removals, so that nothing that stays is ever missing. */
export function difference(dev: Device, now: EndState, wanted: EndState): Change[] {
  const gone = without(now.addresses, wanted.addresses, (address) => address);
  // IPv6 has an address once per link whatever its length, so the old one has to make room.
  const first = gone.filter(
    (address) => isSix(address) && wanted.addresses.some((other) => host(other) === host(address)),
  );
  const perilous = sharesSubnet(gone, wanted.addresses);
  // A link that changes its own address forgets its neighbours, permanent ones too (neigh_changeaddr).
  const known = now.mac === wanted.mac ? now.neighbours : [];
  const stay = {
    routes: new Set(wanted.routes.map(({ to }) => to)),
    neighbours: new Set(wanted.neighbours.map(({ to }) => to)),
  };
  return [
    ...(now.mac === wanted.mac ? [] : announcements(now.name)),
    ...settings(dev, now, wanted),
    ...without(wanted.sysctls, now.sysctls).map((sysctl): Change => ({ op: 'sysctl', sysctl })),
    ...first.map((address): Change => ({ op: 'no-address', dev, address })),
    ...without(wanted.addresses, now.addresses).map((address): Change => ({
      op: 'address',
      dev,
      address,
    })),
    ...without(wanted.routes, now.routes).map((route): Change => ({ op: 'route', dev, route })),
    ...without(wanted.neighbours, known).map((neighbour): Change => ({
      op: 'neighbour',
      dev,
      neighbour,
    })),
    ...noNeighbours(dev, now.neighbours, stay.neighbours),
    ...noRoutes(dev, now.routes, stay.routes),
    ...(perilous ? [promoteSecondaries(wanted.name)] : []),
    ...gone
      .filter((address) => !first.includes(address))
      .map((address): Change => ({ op: 'no-address', dev, address })),
    ...(perilous || lastFour(now, wanted) ? again(dev, wanted) : []),
    // An IPv6 address takes the route to its subnet along, whoever made it (cleanup_prefix_route).
    ...wanted.routes
      .filter(({ to }) => isSix(to) && gone.some((address) => subnet(address) === to))
      .map((route): Change => ({ op: 'route', dev, route })),
  ];
}

/** The link tells its neighbours of a new hardware address, who would otherwise find out after half a minute (ip-sysctl). */
const announcements = (name: string): Change[] =>
  [`ipv4/conf/${name}/arp_notify`, `ipv6/conf/${name}/ndisc_notify`].map((path) => ({
    op: 'sysctl',
    sysctl: { path: `net/${path}`, value: '1', optional: true },
  }));

function settings(dev: Device, now: EndState, wanted: EndState): Change[] {
  const to = {
    ...(now.name === wanted.name ? {} : { name: wanted.name }),
    ...(now.alias === wanted.alias ? {} : { alias: wanted.alias }),
    ...(now.mac === wanted.mac ? {} : { mac: wanted.mac }),
    ...(wanted.mtu === undefined || now.mtu === wanted.mtu ? {} : { mtu: wanted.mtu }),
    ...(now.up === wanted.up ? {} : { up: wanted.up }),
  };
  return Object.keys(to).length === 0 ? [] : [{ op: 'set', dev, to }];
}

/** Whether an IPv4 address that goes may be the primary one of a subnet in which others stay: those would go with it. */
const sharesSubnet = (gone: readonly string[], stay: readonly string[]): boolean => {
  const subnets = new Set(stay.filter((address) => !isSix(address)).map(subnet));
  return gone.some((address) => !isSix(address) && subnets.has(subnet(address)));
};

const lastFour = (now: EndState, wanted: EndState): boolean =>
  now.addresses.some((address) => !isSix(address)) &&
  !wanted.addresses.some((address) => !isSix(address));

/** Another address of the subnet takes the place of the primary one, without a moment in which there is none (devinet.c). */
const promoteSecondaries = (name: string): Change => ({
  op: 'sysctl',
  sysctl: { path: `net/ipv4/conf/${name}/promote_secondaries`, value: '1', optional: true },
});

/**
 * With the last address the kernel drops every IPv4 route and neighbour (fib_disable_ip), and where secondary addresses are not
 * promoted they go with the primary one. Asking again for what shall stay brings them back.
 */
const again = (dev: Device, wanted: EndState): Change[] => [
  ...wanted.addresses
    .filter((address) => !isSix(address))
    .map((address): Change => ({ op: 'address', dev, address })),
  ...wanted.routes
    .filter(({ to }) => !isSix(to))
    .map((route): Change => ({ op: 'route', dev, route })),
  ...wanted.neighbours
    .filter(({ to }) => !isSix(to))
    .map((neighbour): Change => ({ op: 'neighbour', dev, neighbour })),
];

const noNeighbours = (
  dev: Device,
  now: readonly PlannedNeighbour[],
  stay: ReadonlySet<string>,
): Change[] =>
  now
    .filter(({ to }) => !stay.has(to))
    .map((neighbour): Change => ({ op: 'no-neighbour', dev, neighbour }));

const noRoutes = (dev: Device, now: readonly PlannedRoute[], stay: ReadonlySet<string>): Change[] =>
  now.filter(({ to }) => !stay.has(to)).map((route): Change => ({ op: 'no-route', dev, route }));

function without<T>(
  items: readonly T[],
  others: readonly T[],
  key: (item: T) => string = canonical,
): T[] {
  const known = new Set(others.map(key));
  return items.filter((item) => !known.has(key(item)));
}

/** Text that is equal for equal values, whatever the order of their keys. */
const canonical = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? JSON.stringify(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : JSON.stringify(value);

const isSix = (address: string): boolean => address.includes(':');
const subnet = (address: string): string => formatPrefix(network(parsePrefix(address)));
const host = (address: string): string => address.split('/')[0] ?? '';
