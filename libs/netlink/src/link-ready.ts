import { getLink } from './link.ts';
import type { Rtnetlink } from './socket.ts';

/** The kernel's work on carriers waits for its lock on links. */
const LIMIT_MS = 1_000;
const PAUSE_MS = 0.25;
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
export function awaitLink(rtnetlink: Rtnetlink, index: number): void {
  const until = performance.now() + LIMIT_MS;
  while (getLink(rtnetlink, index)?.operstate !== 'up' && performance.now() < until)
    Atomics.wait(sleeper, 0, 0, PAUSE_MS);
}
