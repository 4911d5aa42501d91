import { type Address, addressFromBytes } from '@nsm/ip';
import { attributes, readText, readU32, text, u32 } from './attribute.ts';
import { IFLA, IFLA_INFO, IFLA_VLAN, IFLA_VXLAN, ifinfo, RTM_GETLINK } from './link-message.ts';
import { formatMac } from './mac.ts';
import { type Message, reading } from './message.ts';
import type { Rtnetlink } from './socket.ts';

const IFF_UP = 1;
/** Of virtual functions, which no link here has; its own counters are in the message of a link anyway. */
const RTEXT_FILTER_SKIP_STATS = 8;

/** <linux/if.h> IF_OPER_*; the states between are kinds of down. */
const OPERSTATE: Readonly<Record<number, 'unknown' | 'up'>> = { 0: 'unknown', 6: 'up' };

/** What a link has carried since it was made (<linux/if_link.h>, struct rtnl_link_stats64), as its own namespace sees it. */
export interface Counters {
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxErrors: bigint;
  readonly txErrors: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
}

/** A link as `ip -d link show` tells it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** RFC 2863: whether packets pass, which the kernel finds out some time after `up`. Kinds without a carrier are `unknown`. */
  readonly operstate: 'unknown' | 'up' | 'down';
  readonly mtu: number;
  readonly mac: string;
  readonly alias: string;
  readonly group: number;
  /** `veth`, `vxlan`, `bridge`, ...; empty for a link without a kind, as loopback and hardware are. */
  readonly kind: string;
  /** Index of the other end of a veth pair in its own namespace. */
  readonly peer?: number;
  /** Undefined where they were not asked for. */
  readonly counters?: Counters;
  /** Index of the bridge it belongs to. */
  readonly master?: number;
  /** nsid of the namespace of the peer, or of the tunnel's packets, when that is another one and has an nsid here. */
  readonly linkNetnsid?: number;
  readonly vxlan?: {
    readonly vni: number;
    readonly port: number;
    readonly local?: Address;
    readonly remote?: Address;
  };
  /** The tag of a VLAN link, and the index of the link that carries it. */
  readonly vlan?: { readonly tag: number; readonly parent: number };
}

/** What to tell of a link, and where it is. */
export interface LinkQuery {
  readonly counters?: boolean;
  /** The number of its namespace, where that is not the socket's own (Linux 5.0); one that is nobody's is refused with EINVAL. */
  readonly nsid?: number;
}

/** `ip [-s] link show dev NAME [target-nsid NSID]`; undefined when there is none. @throws NetlinkError */
export function getLink(
  rtnetlink: Rtnetlink,
  by: string | number,
  { counters = false, nsid }: LinkQuery = {},
): Link | undefined {
  const name = typeof by === 'string';
  const body = Buffer.concat([
    ifinfo(name ? 0 : by, 0, 0),
    u32(IFLA.extMask, RTEXT_FILTER_SKIP_STATS),
    ...(name ? [text(IFLA.ifname, by)] : []),
    ...(nsid === undefined ? [] : [u32(IFLA.targetNetnsid, nsid)]),
  ]);
  const message = rtnetlink.get({
    type: RTM_GETLINK,
    flags: 0,
    body,
    get words() {
      return `ip link show dev ${name ? by : `if${by}`}`;
    },
    ignore: ['ENODEV'],
  });
  if (message === undefined) return undefined;
  const link = decodeLink(message);
  return counters ? { ...link, counters: decodeCounters(message) } : link;
}

/** `ip link show` @throws NetlinkError */
export function listLinks(rtnetlink: Rtnetlink): Link[] {
  const body = Buffer.concat([ifinfo(0, 0, 0), u32(IFLA.extMask, RTEXT_FILTER_SKIP_STATS)]);
  return rtnetlink
    .dump({ type: RTM_GETLINK, flags: 0, body, words: 'ip link show' })
    .map(decodeLink);
}

/** Reads a RTM_NEWLINK message. @throws MalformedMessage */
export const decodeLink = (message: Message): Link => reading(message, readLink);

function readLink(body: Buffer): Link {
  const found = attributes(body.subarray(16));
  const info = attributes(found.get(IFLA.linkinfo) ?? Buffer.alloc(0));
  const kind = readText(info.get(IFLA_INFO.kind)) ?? '';
  const peer = kind === 'veth' ? readU32(found.get(IFLA.link)) : undefined;
  const master = readU32(found.get(IFLA.master));
  const linkNetnsid = found.get(IFLA.linkNetnsid)?.readInt32LE(0);
  return {
    index: body.readInt32LE(4),
    name: readText(found.get(IFLA.ifname)) ?? '',
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    operstate: OPERSTATE[found.get(IFLA.operstate)?.readUInt8(0) ?? 0] ?? 'down',
    mtu: readU32(found.get(IFLA.mtu)) ?? 0,
    mac: formatMac(found.get(IFLA.address) ?? Buffer.alloc(0)),
    alias: readText(found.get(IFLA.ifalias)) ?? '',
    group: readU32(found.get(IFLA.group)) ?? 0,
    kind,
    ...(peer === undefined ? {} : { peer }),
    ...(master === undefined ? {} : { master }),
    ...(linkNetnsid === undefined ? {} : { linkNetnsid }),
    ...(kind === 'vxlan'
      ? { vxlan: decodeVxlan(info.get(IFLA_INFO.data) ?? Buffer.alloc(0)) }
      : {}),
    ...(kind === 'vlan'
      ? {
          vlan: {
            tag: readTag(info.get(IFLA_INFO.data) ?? Buffer.alloc(0)),
            parent: readU32(found.get(IFLA.link)) ?? 0,
          },
        }
      : {}),
  };
}

function decodeCounters({ body }: Message): Counters {
  const stats = attributes(body.subarray(16)).get(IFLA.stats64) ?? Buffer.alloc(0);
  const at = (field: number): bigint =>
    stats.length < 8 * (field + 1) ? 0n : stats.readBigUInt64LE(8 * field);
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  };
}

function decodeVxlan(data: Buffer): NonNullable<Link['vxlan']> {
  const found = attributes(data);
  const local = found.get(IFLA_VXLAN.local) ?? found.get(IFLA_VXLAN.local6);
  const remote = found.get(IFLA_VXLAN.group) ?? found.get(IFLA_VXLAN.group6);
  return {
    vni: readU32(found.get(IFLA_VXLAN.id)) ?? 0,
    port: found.get(IFLA_VXLAN.port)?.readUInt16BE(0) ?? 0,
    ...(local === undefined ? {} : { local: addressFromBytes(local) }),
    ...(remote === undefined ? {} : { remote: addressFromBytes(remote) }),
  };
}

const readTag = (data: Buffer): number => attributes(data).get(IFLA_VLAN.id)?.readUInt16LE(0) ?? 0;
