import { closeSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { formatAddress, formatPrefix, parsePrefix } from '@nsm/ip';
import {
  awaitAddress,
  awaitLink,
  changeSysctl,
  createNetnsFinder,
  filterReplace,
  formatNetns,
  getLink,
  type Link,
  linkDelete,
  linkDeleteGroup,
  listAddresses,
  listFilters,
  listLinks,
  listNeighbours,
  listRoutes,
  NetlinkError,
  netnsOf,
  nsidOf,
  openRtnetlink,
  parseNetns,
  popTag,
  pushTag,
  type Rtnetlink,
  RTPROT_NSM,
  RTPROT_STATIC,
  vlanProbe,
  withRtnetlink,
  writeSysctl,
} from '@nsm/netlink';
import { PlanError } from './check.ts';
import { DatapathError, failureOf } from './error.ts';
import {
  type Change,
  type Device,
  filterName,
  type Kernel,
  type LinkState,
  type Namespace,
  type Programmed,
  type TagFilter,
} from './kernel.ts';
import type { Sysctl } from './plan.ts';
import { policiesOf } from './policies.ts';
import { requestOf } from './request.ts';
import { plannedRoute, rulesOf, tableRoutesOf } from './rule-state.ts';
import { readKernelDevice, setKernelDevice } from './wireguard/kernel-device.ts';

/** Interface indexes we choose: far above those the kernel hands out, and enough of them that drawing one twice is news. */
const INDEXES = { min: 0x2000_0000, max: 0x7000_0000 } as const;

/**
 * The kernel this process runs on. The thread's own namespace is home: its addresses carry the tunnels. What is asked of it goes
 * over one socket, since the thread keeps that namespace anyway; `close` ends it.
 */
export function createNetlinkKernel(): Kernel & { close(): void } {
  const finder = createNetnsFinder();
  /** Open namespaces and their descriptors, which births need and nobody else shall see. */
  const descriptors = new WeakMap<Namespace, number>();
  let tagging: 'link' | 'program' | undefined;
  let homeSocket: Rtnetlink | undefined;
  let home: Namespace | undefined;
  const fdOf = (space: Namespace): number => {
    const fd = descriptors.get(space);
    if (fd === undefined) throw new Error(`namespace ${space.netns} is not open`);
    return fd;
  };

  const atHome = (): Rtnetlink => (homeSocket ??= openRtnetlink());
  const open = (
    netns: string,
    rtnetlink: Rtnetlink,
    fd: number | undefined,
    leave: () => void,
  ): Namespace => {
    const space: Namespace = {
      netns,
      link: (by) => {
        const link = getLink(rtnetlink, by, { counters: true });
        return link && stateOf(link);
      },
      links: () => listLinks(rtnetlink).map(stateOf),
      programmed: (index) => programmedOn(rtnetlink, space, index),
      rules: () => rulesOf(rtnetlink),
      tableRoutes: () => tableRoutesOf(rtnetlink),
      filters: (index) => listFilters(rtnetlink, index),
      wireguard: (dev) => told(netns, () => readKernelDevice(fd, dev)),
      apply: (changes) => applyAll(rtnetlink, changes, netns, fd, fdOf),
      settle: ({ index }, { carrier, addresses }) => {
        if (carrier) awaitLink(rtnetlink, index);
        for (const address of addresses.map(parsePrefix))
          if (address.family === 6) awaitAddress(rtnetlink, address);
      },
      leave,
    };
    if (fd !== undefined) descriptors.set(space, fd);
    return space;
  };

  return {
    enter: (netns) => {
      const ref = parseNetns(netns);
      if (ref === undefined)
        throw new PlanError('netns', `${JSON.stringify(netns)} is not inode://<dev>/<ino>`);
      const fd = finder.open(ref);
      try {
        const rtnetlink = openRtnetlink(fd);
        return open(netns, rtnetlink, fd, () => {
          rtnetlink.close();
          closeSync(fd);
        });
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    },
    home: () =>
      (home ??= open(
        formatNetns(netnsOf('/proc/thread-self/ns/net')),
        atHome(),
        undefined,
        () => undefined,
      )),
    nsids: (spaces) => spaces.map((space) => nsidOf(atHome(), fdOf(space))),
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

/** Netlink changes that follow each other go in one send; a sysctl is a file and stands between two of them. */
function applyAll(
  rtnetlink: Rtnetlink,
  changes: readonly Change[],
  netns: string,
  fd: number | undefined,
  fdOf: (space: Namespace) => number,
): void {
  let batch: Exclude<Change, { op: 'sysctl' | 'filter' | 'wireguard' }>[] = [];
  const flush = (): void => {
    const requests = batch.map((change) => requestOf(change, fdOf));
    batch = [];
    told(netns, () => rtnetlink.request(requests));
  };
  for (const change of changes)
    if (change.op === 'sysctl') {
      flush();
      setSysctl(change.sysctl, netns, fd);
    } else if (change.op === 'filter') {
      flush();
      told(netns, () => setFilter(rtnetlink, change.dev, change.filter));
    } else if (change.op === 'wireguard') {
      flush();
      told(netns, () => setKernelDevice(fd, change.dev, change.setting));
    } else batch.push(change);
  flush();
}

/** Says of a refusal in which namespace it was. */
function told<T>(netns: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    const where = (text: string): string => text.replace(/^(ip|tc|wg) /, `$1 -n ${netns} `);
    const { code, errno } = error;
    throw new DatapathError(
      { message: where(error.message), operation: where(error.operation), code, errno },
      error,
    );
  }
}

function setFilter(rtnetlink: Rtnetlink, dev: Device, filter: TagFilter): void {
  const { handle, does, tag, to } = filter;
  const program = does === 'push' ? pushTag(tag, to) : popTag(tag, to);
  filterReplace(rtnetlink, dev, { handle, name: filterName(filter), program });
}

function setSysctl({ path, value, optional }: Sysctl, netns: string, fd: number | undefined): void {
  // What is off is mostly off before, as `disable_ipv6` of a new link is.
  const set = value === '0' ? changeSysctl : writeSysctl;
  try {
    set(fd, path, value);
  } catch (error) {
    if (optional === true) return;
    const operation = `ip netns exec ${netns} sysctl -w ${path}="${value}"`;
    const failure = failureOf(error);
    throw new DatapathError(
      { ...failure, operation, message: `${operation}: ${failure.message}` },
      error,
    );
  }
}

function stateOf({ vxlan, ...link }: Link): LinkState {
  const { index, name, alias, up, mtu, mac, group, kind, peer, counters, master, vlan } = link;
  const state = {
    index,
    name,
    alias,
    up,
    mtu,
    mac,
    group,
    kind,
    ...(peer === undefined ? {} : { peer }),
    ...(counters === undefined ? {} : { counters }),
    ...(master === undefined ? {} : { master }),
    ...(vlan === undefined ? {} : { vlan }),
  };
  if (vxlan?.local === undefined || vxlan.remote === undefined) return state;
  const { vni, port, local, remote } = vxlan;
  return {
    ...state,
    vxlan: { vni, port, local: formatAddress(local), remote: formatAddress(remote) },
  };
}

/** Global addresses, static routes, our neighbours and rules: the kernel adds the others by itself. */
const programmedOn = (rtnetlink: Rtnetlink, space: Namespace, index: number): Programmed => ({
  addresses: listAddresses(rtnetlink, index)
    .filter(({ scope }) => scope === 0)
    .map(({ address }) => formatPrefix(address)),
  routes: listRoutes(rtnetlink, index)
    .filter(({ protocol, type }) => protocol === RTPROT_STATIC && type === 1)
    .map(plannedRoute),
  neighbours: listNeighbours(rtnetlink, index)
    .filter(({ state, protocol }) => state === 'permanent' || protocol === RTPROT_NSM)
    .map(({ to, mac, state }) => ({ to: formatAddress(to), mac, state })),
  ...policiesOf(space, index),
});
