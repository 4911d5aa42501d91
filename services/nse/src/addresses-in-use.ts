import { addressBits, type Address } from '@nsm/ip';
import { listAllRoutes, withRtnetlink } from '@nsm/netlink';

/**
 * Both ends of the wires of this namespace, which an earlier process of the endpoint has given out: the end here is a local address,
 * and the other one has a route of its own. @throws Errno, NetlinkError
 */
export const addressesInUse = (): Address[] =>
  withRtnetlink(undefined, listAllRoutes).flatMap(({ to: { family, value, length } }) =>
    length === addressBits(family) ? [{ family, value }] : [],
  );
