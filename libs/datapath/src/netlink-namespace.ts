import { closeSync } from 'node:fs';
import { formatAddress, formatPrefix, parsePrefix } from '@nsm/ip';
import {
  awaitAddress,
  awaitLink,
  changeSysctl,
  filterReplace,
  getLink,
  type Link,
  listAddresses,
  listFilters,
  listLinks,
  listNeighbours,
  listRoutes,
  NetlinkError,
  popTag,
  pushTag,
  type Rtnetlink,
  RTPROT_NSM,
  RTPROT_STATIC,
  writeSysctl,
} from '@nsm/netlink';
import { DatapathError, failureOf } from './error.ts';
import {
  type Change,
  type Device,
  filterName,
  type KnownFilter,
  type LinkState,
  type Namespace,
  type PolicyRule,
  type Programmed,
  type TableRoute,
  type TagFilter,
} from './kernel.ts';
import type { Sysctl } from './plan.ts';
import { policiesOf } from './policies.ts';
import { requestOf } from './request.ts';
import { plannedRoute, rulesOf, tableRoutesOf } from './rule-state.ts';
import type { DeviceState } from './wireguard/device.ts';
import { readKernelDevice, setKernelDevice } from './wireguard/kernel-device.ts';

/** An open namespace of this machine, or home, which stays open. A class, as two are made for every wire. */
export class NetlinkNamespace implements Namespace {
  readonly netns: string;
  readonly #rtnetlink: Rtnetlink;
  readonly #fd: number | undefined;

  /** @param fd its descriptor, which goes when it is left; home has none */
  constructor(netns: string, rtnetlink: Rtnetlink, fd?: number) {
    this.netns = netns;
    this.#rtnetlink = rtnetlink;
    this.#fd = fd;
  }

  /** The descriptor of an open namespace, which births need and nobody else shall see. */
  static fdOf(space: Namespace): number {
    if (!(space instanceof NetlinkNamespace) || space.#fd === undefined)
      throw new Error(`namespace ${space.netns} is not open`);
    return space.#fd;
  }

  link(by: string | number): LinkState | undefined {
    const link = getLink(this.#rtnetlink, by, { counters: true });
    return link && stateOf(link);
  }

  links(): LinkState[] {
    return listLinks(this.#rtnetlink).map(stateOf);
  }

  /** Global addresses, static routes, our neighbours and rules: the kernel adds the others by itself. */
  programmed(index: number): Programmed {
    return {
      addresses: listAddresses(this.#rtnetlink, index)
        .filter(({ scope }) => scope === 0)
        .map(({ address }) => formatPrefix(address)),
      routes: listRoutes(this.#rtnetlink, index)
        .filter(({ protocol, type }) => protocol === RTPROT_STATIC && type === 1)
        .map(plannedRoute),
      neighbours: listNeighbours(this.#rtnetlink, index)
        .filter(({ state, protocol }) => state === 'permanent' || protocol === RTPROT_NSM)
        .map(({ to, mac, state }) => ({ to: formatAddress(to), mac, state })),
      ...policiesOf(this, index),
    };
  }

  rules(): PolicyRule[] {
    return rulesOf(this.#rtnetlink);
  }

  tableRoutes(): TableRoute[] {
    return tableRoutesOf(this.#rtnetlink);
  }

  filters(index: number): KnownFilter[] {
    return listFilters(this.#rtnetlink, index);
  }

  wireguard(dev: Device): DeviceState | undefined {
    return told(this.netns, () => readKernelDevice(this.#fd, dev));
  }

  /** Netlink changes that follow each other go in one send; a sysctl is a file and stands between two of them. */
  apply(changes: readonly Change[]): void {
    let batch: Exclude<Change, { op: 'sysctl' | 'filter' | 'wireguard' }>[] = [];
    const flush = (): void => {
      const requests = batch.map((change) =>
        requestOf(change, (space) => NetlinkNamespace.fdOf(space)),
      );
      batch = [];
      told(this.netns, () => this.#rtnetlink.request(requests));
    };
    for (const change of changes)
      if (change.op === 'sysctl') {
        flush();
        setSysctl(change.sysctl, this.netns, this.#fd);
      } else if (change.op === 'filter') {
        flush();
        told(this.netns, () => setFilter(this.#rtnetlink, change.dev, change.filter));
      } else if (change.op === 'wireguard') {
        flush();
        told(this.netns, () => setKernelDevice(this.#fd, change.dev, change.setting));
      } else batch.push(change);
    flush();
  }

  settle(
    { index }: Device,
    { carrier, addresses }: { readonly carrier: boolean; readonly addresses: readonly string[] },
  ): void {
    if (carrier) awaitLink(this.#rtnetlink, index);
    for (const address of addresses)
      if (address.includes(':')) awaitAddress(this.#rtnetlink, parsePrefix(address));
  }

  leave(): void {
    if (this.#fd === undefined) return;
    this.#rtnetlink.close();
    closeSync(this.#fd);
  }
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

/** What reconciling has to know of a link. */
export function stateOf({ vxlan, ...link }: Link): LinkState {
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
