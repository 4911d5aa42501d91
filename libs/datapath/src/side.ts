import {
  type Address,
  contains,
  formatAddress,
  formatPrefix,
  network,
  parseAddress,
  parsePrefix,
  type Prefix,
} from '@nsm/ip';
import { checkMac, PlanError } from './check.ts';
import type { PlannedNeighbour, PlannedRoute, Side } from './plan.ts';
import type { WireContext, WireRoute } from './wire.ts';

/** The part of the connection context that one side's namespace is programmed with (contract 5.1). */
export interface SideContext {
  readonly own: readonly Prefix[];
  readonly peers: readonly Prefix[];
  readonly routes: readonly PlannedRoute[];
}

/** Reads one side of the context: the client has the source addresses, the endpoint the destination's. @throws PlanError */
export function sideContext(side: Side, context: WireContext | undefined): SideContext {
  const ip = context?.ipContext;
  if (ip === undefined) return { own: [], peers: [], routes: [] };
  const src = prefixes('context.ipContext.srcIpAddrs', ip.srcIpAddrs);
  const dst = prefixes('context.ipContext.dstIpAddrs', ip.dstIpAddrs);
  const [own, peers] = side === 'client' ? [src, dst] : [dst, src];
  const [field, given] =
    side === 'client' ? ['srcRoutes', ip.srcRoutes] : ['dstRoutes', ip.dstRoutes];
  return { own, peers, routes: routesOf(`context.ipContext.${field}`, own, peers, given) };
}

/**
 * Contract 5.2 ipneighbors: the entries of the context, and with `peerMac` (payload IP over a veth pair, where both MAC addresses
 * are known) a permanent entry for every peer address, so that nobody has to ask. A later entry for an address replaces an earlier.
 * @throws PlanError
 */
export function neighboursOf(
  context: WireContext | undefined,
  peers: readonly Prefix[],
  peerMac: string | undefined,
): PlannedNeighbour[] {
  const field = 'context.ipContext.ipNeighbors';
  const given = (context?.ipContext?.ipNeighbors ?? []).map(
    ({ ip, hardwareAddress }): PlannedNeighbour => {
      const mac = hardwareAddress.toLowerCase();
      checkMac(field, mac);
      return { to: formatAddress(read(field, ip, parseAddress)), mac, state: 'reachable' };
    },
  );
  const known =
    peerMac === undefined
      ? []
      : peers.map((peer): PlannedNeighbour => ({
          to: formatAddress(peer),
          mac: peerMac,
          state: 'permanent',
        }));
  return lastPer([...given, ...known], ({ to }) => to);
}

/** Contract 5.3: a route to every peer outside the own prefixes, then the routes of the context, which replace those. */
function routesOf(
  field: string,
  own: readonly Prefix[],
  peers: readonly Prefix[],
  given: readonly WireRoute[],
): PlannedRoute[] {
  const toPeers = peers
    .filter((peer) => !own.some((prefix) => contains(prefix, peer)))
    .map((peer): PlannedRoute => ({
      to: formatPrefix(network(peer)),
      ...(peer.family === 4 ? { scope: 'link' } : {}),
    }));
  const asked = given.map((route, i) => routeFrom(`${field}[${i}]`, route, peers));
  return lastPer([...toPeers, ...asked], ({ to }) => to);
}

/** Contract 5.3: a route without a next hop goes through the first peer of its family, unless a peer's prefix contains it. */
export function routeFrom(
  at: string,
  { prefix, nextHop }: WireRoute,
  peers: readonly Prefix[],
): PlannedRoute {
  const to = read(`${at}.prefix`, prefix, parsePrefix);
  const via = nextHop === '' ? derivedHop(to, peers) : read(`${at}.nextHop`, nextHop, parseAddress);
  if (via !== undefined && via.family !== to.family)
    throw new PlanError(
      `${at}.nextHop`,
      `${nextHop} cannot be the next hop to ${prefix}: both have to be of one family`,
    );
  return {
    to: formatPrefix(network(to)),
    ...(via === undefined ? {} : { via: formatAddress(via) }),
  };
}

const derivedHop = (to: Prefix, peers: readonly Prefix[]): Address | undefined =>
  peers.some((peer) => contains(peer, to))
    ? undefined
    : peers.find((peer) => peer.family === to.family);

const prefixes = (field: string, texts: readonly string[]): Prefix[] =>
  texts.map((text, i) => read(`${field}[${i}]`, text, parsePrefix));

/** Parses a text of the context. @throws PlanError that names the field */
export function read<T>(field: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    throw new PlanError(field, error instanceof Error ? error.message : String(error), error);
  }
}

/** The last item of each key, at the place of the first. */
export const lastPer = <T>(items: readonly T[], key: (item: T) => string): T[] => [
  ...new Map(items.map((item) => [key(item), item])).values(),
];
