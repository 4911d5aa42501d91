import { type Address, addressBytes } from '@nsm/ip';
import { attribute, be16, nest, text, u16, u32, u8, zeros } from './attribute.ts';
import { type Device, deviceIndex, deviceName } from './device.ts';
import { macBytes } from './mac.ts';
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from './message.ts';

/** <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if.h>, <linux/veth.h> */
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const IFF_UP = 1;
const IFF_NOARP = 0x80;
const IFF_PROMISC = 0x100;
export const IFLA = {
  address: 1,
  ifname: 3,
  mtu: 4,
  link: 5,
  master: 10,
  operstate: 16,
  linkinfo: 18,
  ifalias: 20,
  stats64: 23,
  afSpec: 26,
  group: 27,
  netNsFd: 28,
  extMask: 29,
  linkNetnsid: 37,
  targetNetnsid: 46,
} as const;
export const IFLA_INFO = { kind: 1, data: 2 } as const;
export const IFLA_VXLAN = {
  id: 1,
  group: 2,
  local: 4,
  learning: 7,
  port: 15,
  group6: 16,
  local6: 17,
} as const;
export const IFLA_VLAN = { id: 1 } as const;
const IFLA_BR_MCAST_SNOOPING = 23;
const VETH_INFO_PEER = 1;
const AF_INET6 = 10;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE = { eui64: 0, none: 1 } as const;

/** How a link is born. What the kernel ignores at birth (alias, master) is for `linkSet` afterwards. */
export interface NewLink {
  readonly name: string;
  /** The interface index; the kernel chooses when absent. */
  readonly index?: number;
  readonly mtu?: number;
  readonly mac?: string;
  readonly group?: number;
  /** Open descriptor of the namespace the link is born in; the socket's own when absent. */
  readonly netns?: number;
  readonly up?: boolean;
}

/** A VXLAN tunnel to one remote. Its packets use the namespace of the socket that creates it, wherever it is born. */
export interface VxlanTunnel {
  readonly vni: number;
  readonly local: Address;
  readonly remote: Address;
  readonly port: number;
}

/** What can be changed about a link. */
export interface LinkChange {
  readonly name?: string;
  readonly alias?: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly group?: number;
  readonly up?: boolean;
  /** Whether frames for other stations are taken in. */
  readonly promisc?: boolean;
  /** Whether it answers who asks for a link-layer address; false is silent about all addresses of its namespace. */
  readonly arp?: boolean;
  /** Index of the bridge to join; 0 leaves it. */
  readonly master?: number;
  /** Open descriptor of the namespace to move to; a name set with it counts there. Nothing else may be: it comes first. */
  readonly netns?: number;
  /** `none`: no link-local IPv6 address. Takes effect when the link goes up, so set it before. */
  readonly addrGenMode?: 'eui64' | 'none';
}

/** `ip link add NAME type veth peer name PEER`. Only `link` can be born up; the kernel refuses it for `peer` (ENOTCONN). */
export function vethAdd(link: NewLink, peer: NewLink): Request {
  const info = nest(
    IFLA.linkinfo,
    text(IFLA_INFO.kind, 'veth'),
    nest(IFLA_INFO.data, nest(VETH_INFO_PEER, newLink({ ...peer, up: false }))),
  );
  return add(link, info, `type veth peer name ${peer.name}`);
}

/** `ip link add NAME type vxlan id VNI local LOCAL remote REMOTE dstport PORT nolearning` */
export function vxlanAdd(link: NewLink, { vni, local, remote, port }: VxlanTunnel): Request {
  const end = (address: Address, four: number, six: number): Buffer =>
    attribute(address.family === 4 ? four : six, addressBytes(address));
  const info = nest(
    IFLA.linkinfo,
    text(IFLA_INFO.kind, 'vxlan'),
    nest(
      IFLA_INFO.data,
      u32(IFLA_VXLAN.id, vni),
      end(local, IFLA_VXLAN.local, IFLA_VXLAN.local6),
      end(remote, IFLA_VXLAN.group, IFLA_VXLAN.group6),
      be16(IFLA_VXLAN.port, port),
      u8(IFLA_VXLAN.learning, 0),
    ),
  );
  return add(link, info, `type vxlan id ${vni} dstport ${port}`);
}

/**
 * `ip link add NAME type wireguard`. Its packets use the namespace of the socket that creates it, wherever it is born. It has no
 * link-layer address, and no peer before `wireguardSet`. EOPNOTSUPP where the kernel has no such links.
 */
export const wireguardAdd = (link: Omit<NewLink, 'mac'>): Request =>
  add(link, nest(IFLA.linkinfo, text(IFLA_INFO.kind, 'wireguard')), 'type wireguard');

/** `ip link add NAME type bridge mcast_snooping 0`: groups reach every port, also where nobody asks who listens. */
export const bridgeAdd = (link: NewLink): Request =>
  add(
    link,
    nest(
      IFLA.linkinfo,
      text(IFLA_INFO.kind, 'bridge'),
      nest(IFLA_INFO.data, u8(IFLA_BR_MCAST_SNOOPING, 0)),
    ),
    'type bridge',
  );

/** `ip link add link PARENT name NAME type vlan id TAG`. EOPNOTSUPP where the kernel has no such links. */
export const vlanAdd = (link: NewLink, parent: number, tag: number): Request =>
  add(
    link,
    Buffer.concat([
      u32(IFLA.link, parent),
      nest(
        IFLA.linkinfo,
        text(IFLA_INFO.kind, 'vlan'),
        nest(IFLA_INFO.data, u16(IFLA_VLAN.id, tag)),
      ),
    ]),
    `link if${parent} type vlan id ${tag}`,
  );

/**
 * Asks for a VLAN link without saying which: a kernel that has such links misses the tag (EINVAL), one that has none does not know
 * the kind (EOPNOTSUPP). Nothing is made either way.
 */
export const vlanProbe = (): Request =>
  add(
    { name: 'nsm-probe' },
    nest(IFLA.linkinfo, text(IFLA_INFO.kind, 'vlan')),
    'type vlan (a probe)',
  );

/** `ip link set dev NAME ...` */
export function linkSet(device: Device, change: LinkChange): Request {
  const { name, alias, mtu, mac, group, up, promisc, arp, master, netns, addrGenMode } = change;
  const flags =
    (up === true ? IFF_UP : 0) |
    (promisc === true ? IFF_PROMISC : 0) |
    (arp === false ? IFF_NOARP : 0);
  const mask =
    (up === undefined ? 0 : IFF_UP) |
    (promisc === undefined ? 0 : IFF_PROMISC) |
    (arp === undefined ? 0 : IFF_NOARP);
  const parts = [ifinfo(deviceIndex(device), flags, mask)];
  if (name !== undefined) parts.push(text(IFLA.ifname, name));
  // The kernel takes the alias by length; a closing NUL would become part of it.
  if (alias !== undefined) parts.push(attribute(IFLA.ifalias, Buffer.from(alias)));
  if (mtu !== undefined) parts.push(u32(IFLA.mtu, mtu));
  if (mac !== undefined) parts.push(attribute(IFLA.address, macBytes(mac)));
  if (group !== undefined) parts.push(u32(IFLA.group, group));
  if (master !== undefined) parts.push(u32(IFLA.master, master));
  if (netns !== undefined) parts.push(u32(IFLA.netNsFd, netns));
  if (addrGenMode !== undefined) {
    const mode = u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE[addrGenMode]);
    parts.push(nest(IFLA.afSpec, nest(AF_INET6, mode)));
  }
  return {
    type: RTM_SETLINK,
    flags: 0,
    body: Buffer.concat(parts),
    get words() {
      const set = Object.entries(change).map(([key, value]) =>
        key === 'up' ? (value === true ? 'up' : 'down') : `${key} ${String(value)}`,
      );
      return `ip link set dev ${deviceName(device)} ${set.join(' ')}`;
    },
  };
}

/**
 * `ip link delete dev NAME`. Waits about 20 ms in the kernel, and takes the other end of a veth pair along.
 * @param nsid the number of its namespace, where that is not the socket's own
 */
export const linkDelete = (device: Device, nsid?: number): Request => ({
  type: RTM_DELLINK,
  flags: 0,
  body: Buffer.concat([ifinfo(deviceIndex(device), 0, 0), ...target(nsid)]),
  words: `ip link delete dev ${deviceName(device)}`,
  ignore: nsid === undefined ? ['ENODEV'] : UNKNOWN,
});

/** `ip link delete group GROUP`: all of them for the waiting time of one. None at all is fine. @param nsid as of `linkDelete` */
export const linkDeleteGroup = (group: number, nsid?: number): Request => ({
  type: RTM_DELLINK,
  flags: 0,
  body: Buffer.concat([ifinfo(0, 0, 0), u32(IFLA.group, group), ...target(nsid)]),
  words: `ip link delete group ${group}`,
  ignore: nsid === undefined ? ['ENODEV'] : UNKNOWN,
});

/** A number that is nobody's any more is refused with EINVAL. */
const UNKNOWN = ['ENODEV', 'EINVAL'];
const target = (nsid: number | undefined): Buffer[] =>
  nsid === undefined ? [] : [u32(IFLA.targetNetnsid, nsid)];

/** struct ifinfomsg */
export function ifinfo(index: number, flags: number, change: number): Buffer {
  const header = zeros(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

const add = (link: NewLink, info: Buffer, words: string): Request => ({
  type: RTM_NEWLINK,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([newLink(link), info]),
  get words() {
    return `ip link add ${link.name} ${words}`;
  },
});

function newLink({ name, index, mtu, mac, group, netns, up }: NewLink): Buffer {
  const flags = up === true ? IFF_UP : 0;
  const parts = [ifinfo(index ?? 0, flags, flags), text(IFLA.ifname, name)];
  if (mtu !== undefined) parts.push(u32(IFLA.mtu, mtu));
  if (mac !== undefined) parts.push(attribute(IFLA.address, macBytes(mac)));
  if (group !== undefined) parts.push(u32(IFLA.group, group));
  if (netns !== undefined) parts.push(u32(IFLA.netNsFd, netns));
  return Buffer.concat(parts);
}
