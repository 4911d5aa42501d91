import { closeSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import {
  createNetnsFinder,
  formatNetns,
  getLink,
  linkDelete,
  linkDeleteGroup,
  NetlinkError,
  netnsOf,
  nsidOf,
  openRtnetlink,
  parseNetns,
  type Rtnetlink,
  vlanProbe,
  withRtnetlink,
} from '@nsm/netlink';
import { PlanError } from './check.ts';
import type { Kernel, Namespace } from './kernel.ts';
import { NetlinkNamespace, stateOf } from './netlink-namespace.ts';

/** Interface indexes we choose: far above those the kernel hands out, and enough of them that drawing one twice is news. */
const INDEXES = { min: 0x2000_0000, max: 0x7000_0000 } as const;

/**
 * The kernel this process runs on. The thread's own namespace is home: its addresses carry the tunnels. What is asked of it goes
 * over one socket, since the thread keeps that namespace anyway; `close` ends it.
 */
export function createNetlinkKernel(): Kernel & { close(): void } {
  const finder = createNetnsFinder();
  let tagging: 'link' | 'program' | undefined;
  let homeSocket: Rtnetlink | undefined;
  let home: Namespace | undefined;
  const atHome = (): Rtnetlink => (homeSocket ??= openRtnetlink());

  return {
    enter: (netns) => {
      const ref = parseNetns(netns);
      if (ref === undefined)
        throw new PlanError('netns', `${JSON.stringify(netns)} is not inode://<dev>/<ino>`);
      const fd = finder.open(ref);
      try {
        return new NetlinkNamespace(netns, openRtnetlink(fd), fd);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    },
    home: () =>
      (home ??= new NetlinkNamespace(formatNetns(netnsOf('/proc/thread-self/ns/net')), atHome())),
    nsids: (spaces) => spaces.map((space) => nsidOf(atHome(), NetlinkNamespace.fdOf(space))),
    linkAt: (nsid, name) => {
      try {
        const link = getLink(atHome(), name, { counters: true, nsid });
        return link && stateOf(link);
      } catch (error) {
        // Its namespace is gone, or the kernel does not let us look into it from here.
        if (error instanceof NetlinkError) return undefined;
        throw error;
      }
    },
    deleteAt: (nsid, dev) => atHome().request([linkDelete(dev, nsid)]),
    deleteGroupAt: (nsid, group) => atHome().request([linkDeleteGroup(group, nsid)]),
    newIndex: () => randomInt(INDEXES.min, INDEXES.max),
    tagging: () => (tagging ??= hasVlanLinks() ? 'link' : 'program'),
    close: () => homeSocket?.close(),
  };
}

/** Whether this kernel can make VLAN links, which asking may load a module for. */
function hasVlanLinks(): boolean {
  try {
    withRtnetlink(undefined, (rtnetlink) => rtnetlink.request([vlanProbe()]));
    return true;
  } catch (error) {
    return error instanceof NetlinkError && error.code === 'EINVAL';
  }
}
