import type { Change, Device, Programmed } from './kernel.ts';
import type { End, PlannedNeighbour, PlannedRoute } from './plan.ts';

/** An end with everything that can be changed about it while its link lives. */
export interface EndState extends Programmed {
  readonly name: string;
  readonly alias: string;
  readonly up: boolean;
  readonly mac: string;
  readonly mtu?: number;
  readonly sysctls: End['sysctls'];
}

/** What a plan wants an end to be. */
export const wantedState = (end: End, alias: string): EndState => ({ ...end, alias, up: true });

/** Everything that has to be set on a link that was just born. */
export function programChanges(dev: Device, end: End): Change[] {
  // Whether addresses are allowed at all is a setting of the link; those of the namespace can wait, so as not to split the batch.
  const [ofLink, ofNamespace] = [
    end.sysctls.filter(({ path }) => path.includes('/conf/')),
    end.sysctls.filter(({ path }) => !path.includes('/conf/')),
  ];
  return [
    ...ofLink.map((sysctl): Change => ({ op: 'sysctl', sysctl })),
    ...end.addresses.map((address): Change => ({ op: 'address', dev, address })),
    ...end.routes.map((route): Change => ({ op: 'route', dev, route })),
    ...end.neighbours.map((neighbour): Change => ({ op: 'neighbour', dev, neighbour })),
    ...ofNamespace.map((sysctl): Change => ({ op: 'sysctl', sysctl })),
  ];
}

/** The changes that turn `now` into `wanted`: settings, then additions, then removals, so that nothing that stays is ever missing. */
export function difference(dev: Device, now: EndState, wanted: EndState): Change[] {
  const gone = without(now.addresses, wanted.addresses, (address) => address);
  // IPv6 has an address once per link whatever its length, so the old one has to make room.
  const first = gone.filter(
    (address) => isSix(address) && wanted.addresses.some((other) => host(other) === host(address)),
  );
  const lostFour = gone.some((address) => !isSix(address));
  // A link that changes its own address forgets its neighbours, permanent ones too (neigh_changeaddr).
  const known = now.mac === wanted.mac ? now.neighbours : [];
  const stay = {
    routes: new Set(wanted.routes.map(({ to }) => to)),
    neighbours: new Set(wanted.neighbours.map(({ to }) => to)),
  };
  return [
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
    ...gone
      .filter((address) => !first.includes(address))
      .map((address): Change => ({ op: 'no-address', dev, address })),
    ...(lostFour ? again(dev, wanted) : []),
  ];
}

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

/**
 * The kernel drops secondary addresses with the primary one of their subnet, and with the last address every IPv4 route and neighbour
 * (fib_disable_ip). Asking again for what shall stay brings them back.
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
const host = (address: string): string => address.split('/')[0] ?? '';
