import {
  type Address,
  addressBits,
  addressBytes,
  addressFromBytes,
  formatAddress,
  formatPrefix,
  network,
  type Prefix,
} from '@nsm/ip';
import { attribute, attributes, readU32, u32, zeros } from './attribute.ts';
import { type Device, deviceIndex, deviceName } from './device.ts';
import { type Message, NLM_F_CREATE, NLM_F_REPLACE, reading, type Request } from './message.ts';
import type { Rtnetlink } from './socket.ts';
import { AF_INET, AF_INET6 } from './sys.ts';

/** <linux/rtnetlink.h> */
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA = { dst: 1, oif: 4, gateway: 5, priority: 6, table: 15 } as const;
/** struct rtmsg has one byte for the table: what does not fit goes into an attribute alone. */
const RT_TABLE_UNSPEC = 0;
/** The tables every namespace has. */
export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
/** <linux/rtnetlink.h>: Linux 4.13 */
const RTM_F_FIB_MATCH = 0x2000;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTNH_F_ONLINK = 4;
const SCOPE = { global: 0, link: 253, nowhere: 255 } as const;
/** <linux/rtnetlink.h> RTPROT_STATIC: installed by an administrator, which tells our routes from the kernel's own (2). */
export const RTPROT_STATIC = 4;

/** A route through one link. */
export interface Route {
  /** Host bits are cleared on the way to the kernel. */
  readonly to: Prefix;
  /** The gateway. Absent: the destination is on the link. */
  readonly via?: Address;
  /** The gateway counts as reachable on the link although no address says so. */
  readonly onlink?: boolean;
  /** IPv4 only; IPv6 routes have no scope. @default global */
  readonly scope?: 'global' | 'link';
  /** The routing table. @default 254, the main one */
  readonly table?: number;
}

/** A route as the kernel has it. */
export interface InstalledRoute extends Route {
  readonly table: number;
  readonly index: number;
  /** RTPROT_*: 2 kernel, 3 boot, 4 static */
  readonly protocol: number;
  /** RTN_*: 1 unicast, 2 local, 3 broadcast */
  readonly type: number;
}

/** `ip route replace TO [via GATEWAY] dev NAME [scope link] [onlink] [table TABLE] proto static` */
export const routeReplace = (device: Device, route: Route): Request => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  body: encode(deviceIndex(device), route, RTPROT_STATIC, SCOPE[route.scope ?? 'global']),
  get words() {
    return `ip route replace ${words(route)} dev ${deviceName(device)}`;
  },
});

/** `ip route delete TO [via GATEWAY] dev NAME [table TABLE] proto static`: never one that the kernel made. One that is gone is fine. */
export const routeDelete = (device: Device, route: Route): Request => ({
  type: RTM_DELROUTE,
  flags: 0,
  body: encode(deviceIndex(device), route, RTPROT_STATIC, SCOPE.nowhere),
  get words() {
    return `ip route delete ${words(route)} dev ${deviceName(device)}`;
  },
  ignore: ['ESRCH', 'ENODEV'],
});

/** `ip route show table main dev NAME`, both families. @throws NetlinkError */
export const listRoutes = (rtnetlink: Rtnetlink, index: number): InstalledRoute[] =>
  [AF_INET, AF_INET6].flatMap((family) =>
    dumpRoutes(rtnetlink, `ip route show dev if${index}`, [
      header(family, 0, RT_TABLE_MAIN),
      u32(RTA.oif, index),
    ]).filter((route) => route.index === index && route.table === RT_TABLE_MAIN),
  );

/** `ip route show table all`, both families. @throws NetlinkError */
export const listAllRoutes = (rtnetlink: Rtnetlink): InstalledRoute[] =>
  [AF_INET, AF_INET6].flatMap((family) =>
    dumpRoutes(rtnetlink, 'ip route show table all', [header(family, 0, RT_TABLE_UNSPEC)]),
  );

/**
 * Whether a packet to an address would be delivered here, by `ip route get fibmatch ADDRESS`: the route alone, since the kernel
 * would look through all links for a source address that fits. @throws NetlinkError
 */
export function isLocal(rtnetlink: Rtnetlink, address: Address): boolean {
  const family = address.family === 4 ? AF_INET : AF_INET6;
  const answer = rtnetlink.get({
    type: RTM_GETROUTE,
    flags: 0,
    body: Buffer.concat([
      header(family, addressBits(address.family), RT_TABLE_UNSPEC, RTM_F_FIB_MATCH),
      attribute(RTA.dst, addressBytes(address)),
    ]),
    words: `ip route get fibmatch ${formatAddress(address)}`,
    ignore: ['ENETUNREACH', 'EHOSTUNREACH'],
  });
  return answer !== undefined && decodeRoute(answer).type === RTN_LOCAL;
}

const dumpRoutes = (rtnetlink: Rtnetlink, words: string, body: Buffer[]): InstalledRoute[] =>
  rtnetlink
    // A table that never had a route is not there (fib_get_table).
    .dump({ type: RTM_GETROUTE, flags: 0, body: Buffer.concat(body), words, ignore: ['ENOENT'] })
    .map(decodeRoute);

/** Reads a RTM_NEWROUTE message. @throws MalformedMessage */
export const decodeRoute = (message: Message): InstalledRoute => reading(message, readRoute);

function readRoute(body: Buffer): InstalledRoute {
  const found = attributes(body.subarray(12));
  const family = body.readUInt8(0) === AF_INET ? 4 : 6;
  const dst = found.get(RTA.dst) ?? Buffer.alloc(family === 4 ? 4 : 16);
  const gateway = found.get(RTA.gateway);
  return {
    to: { ...addressFromBytes(dst), length: body.readUInt8(1) },
    ...(gateway === undefined ? {} : { via: addressFromBytes(gateway) }),
    ...((body.readUInt32LE(8) & RTNH_F_ONLINK) === 0 ? {} : { onlink: true }),
    ...(family === 4 && body.readUInt8(6) === SCOPE.link ? { scope: 'link' } : {}),
    table: readU32(found.get(RTA.table)) ?? body.readUInt8(4),
    index: readU32(found.get(RTA.oif)) ?? 0,
    protocol: body.readUInt8(5),
    type: body.readUInt8(7),
  };
}

const words = ({ to, via, onlink, scope, table }: Route): string =>
  [
    formatPrefix(network(to)),
    ...(via === undefined ? [] : ['via', formatAddress(via)]),
    ...(scope === 'link' ? ['scope', 'link'] : []),
    ...(onlink === true ? ['onlink'] : []),
    ...(table === undefined ? [] : ['table', String(table)]),
  ].join(' ');

function encode(
  index: number,
  { to, via, onlink, table = RT_TABLE_MAIN }: Route,
  protocol: number,
  scope: number,
): Buffer {
  const rtm = header(
    to.family === 4 ? AF_INET : AF_INET6,
    to.length,
    table > 255 ? RT_TABLE_UNSPEC : table,
  );
  rtm.writeUInt8(protocol, 5);
  rtm.writeUInt8(to.family === 4 ? scope : 0, 6);
  rtm.writeUInt8(RTN_UNICAST, 7);
  rtm.writeUInt32LE(onlink === true ? RTNH_F_ONLINK : 0, 8);
  return Buffer.concat([
    rtm,
    ...(to.length === 0 ? [] : [attribute(RTA.dst, addressBytes(network(to)))]),
    u32(RTA.oif, index),
    ...(via === undefined ? [] : [attribute(RTA.gateway, addressBytes(via))]),
    ...(table > 255 ? [u32(RTA.table, table)] : []),
  ]);
}

/** struct rtmsg */
function header(family: number, length: number, table: number, flags = 0): Buffer {
  const buffer = zeros(12);
  buffer.writeUInt8(family, 0);
  buffer.writeUInt8(length, 1);
  buffer.writeUInt8(table, 4);
  buffer.writeUInt32LE(flags, 8);
  return buffer;
}
