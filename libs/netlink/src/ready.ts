import type { Address } from '@nsm/ip';
import { getLink } from './link.ts';
import { isLocal } from './route.ts';
import type { Rtnetlink } from './socket.ts';

/** The kernel does part of what it was told later, in threads of its own that wait for their turn and for its lock on links. */
const LIMIT_MS = 1_000;
/** Mostly it is done in less than a first pause; who waits for its lock for long shall not be asked all the time. */
const PAUSE_MS = { first: 0.05, longest: 1 } as const;
/** Nobody wakes it: waiting on it is how a thread of synchronous code pauses. */
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until a link with a carrier passes packets, for a second at most.
 *
 * An end of a veth pair that went up before the other has a queue that drops everything, a first neighbour solicitation too, until the
 * kernel has heard of its carrier (net/core/link_watch.c). Since Linux 6.8 asking for the link by its index makes it hear at once;
 * before, its own turn comes within milliseconds.
 * @throws NetlinkError
 */
export const awaitLink = (rtnetlink: Rtnetlink, index: number): void =>
  waitUntil(() => getLink(rtnetlink, index)?.operstate === 'up');

/**
 * Waits until the namespace takes packets for an IPv6 address that it was given, for a second at most.
 *
 * The kernel joins the group that is asked for the address and adds the route that delivers to it in a work item of its own, with
 * `nodad` too (net/ipv6/addrconf.c, addrconf_dad_work): what comes before is lost.
 * @throws NetlinkError
 */
export const awaitAddress = (rtnetlink: Rtnetlink, address: Address): void =>
  waitUntil(() => isLocal(rtnetlink, address));

function waitUntil(ready: () => boolean): void {
  const until = performance.now() + LIMIT_MS;
  for (
    let pause: number = PAUSE_MS.first;
    !ready() && performance.now() < until;
    pause = Math.min(2 * pause, PAUSE_MS.longest)
  )
    Atomics.wait(sleeper, 0, 0, pause);
}
