import { type Address, addressBytes, addressFromBytes, formatAddress } from '@nsm/ip';
import { attribute, attributes, u32, u8, zeros } from './attribute.ts';
import { type Device, deviceIndex, deviceName } from './device.ts';
import { formatMac, macBytes } from './mac.ts';
import { type Message, NLM_F_CREATE, NLM_F_REPLACE, reading, type Request } from './message.ts';
import { RTPROT_NSM } from './protocol.ts';
import type { Rtnetlink } from './socket.ts';
import { AF_INET, AF_INET6 } from './sys.ts';

/** <linux/rtnetlink.h>, <linux/neighbour.h> */
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const AF_BRIDGE = 7;
const NTF_MASTER = 0x04;
const NDA = { dst: 1, lladdr: 2, ifindex: 8, protocol: 12 } as const;
const NUD = { reachable: 0x02, permanent: 0x80 } as const;

/** Which link-layer address an address on a link has. */
export interface Neighbour {
  readonly to: Address;
  readonly mac: string;
  /** `permanent` stays; `reachable` is believed until it times out and is then asked for anew. */
  readonly state: 'permanent' | 'reachable';
}

/** A neighbour as the kernel has it; any state but permanent (stale, delay, probe) reads as reachable. */
export interface KnownNeighbour extends Neighbour {
  readonly index: number;
  /** RTPROT_*: who entered it; 0 when the kernel learnt it, or before Linux 5.2. */
  readonly protocol: number;
}

/** `ip neigh replace TO lladdr MAC dev NAME nud STATE protocol 78` */
export const neighbourReplace = (device: Device, { to, mac, state }: Neighbour): Request => ({
  type: RTM_NEWNEIGH,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  body: Buffer.concat([
    header(to.family === 4 ? AF_INET : AF_INET6, deviceIndex(device), NUD[state]),
    attribute(NDA.dst, addressBytes(to)),
    attribute(NDA.lladdr, macBytes(mac)),
    u8(NDA.protocol, RTPROT_NSM),
  ]),
  get words() {
    return `ip neigh replace ${formatAddress(to)} lladdr ${mac} dev ${deviceName(device)} nud ${state}`;
  },
});

/** `ip neigh delete TO dev NAME`. One that is gone already is fine. */
export const neighbourDelete = (device: Device, to: Address): Request => ({
  type: RTM_DELNEIGH,
  flags: 0,
  body: Buffer.concat([
    header(to.family === 4 ? AF_INET : AF_INET6, deviceIndex(device), 0),
    attribute(NDA.dst, addressBytes(to)),
  ]),
  get words() {
    return `ip neigh delete ${formatAddress(to)} dev ${deviceName(device)}`;
  },
  ignore: ['ENOENT', 'ENODEV', 'ESRCH'],
});

/** `bridge fdb delete MAC dev NAME master`: its bridge forgets that it lives there. One that it does not know is fine. */
export const fdbDelete = (device: Device, mac: string): Request => ({
  type: RTM_DELNEIGH,
  flags: 0,
  body: Buffer.concat([
    header(AF_BRIDGE, deviceIndex(device), 0, NTF_MASTER),
    attribute(NDA.lladdr, macBytes(mac)),
  ]),
  get words() {
    return `bridge fdb delete ${mac} dev ${deviceName(device)} master`;
  },
  ignore: ['ENOENT', 'ENODEV'],
});

/** `ip neigh show dev NAME`, those with a link-layer address. @throws NetlinkError */
export function listNeighbours(rtnetlink: Rtnetlink, index: number): KnownNeighbour[] {
  const body = Buffer.concat([header(0, 0, 0), u32(NDA.ifindex, index)]);
  return rtnetlink
    .dump({ type: RTM_GETNEIGH, flags: 0, body, words: `ip neigh show dev if${index}` })
    .flatMap((message) => decodeNeighbour(message) ?? [])
    .filter((neighbour) => neighbour.index === index);
}

/** Reads a RTM_NEWNEIGH message; undefined for one without addresses, or of a family other than IPv4 and IPv6. @throws MalformedMessage */
export const decodeNeighbour = (message: Message): KnownNeighbour | undefined =>
  reading(message, readNeighbour);

function readNeighbour(body: Buffer): KnownNeighbour | undefined {
  const family = body.readUInt8(0);
  const found = attributes(body.subarray(12));
  const to = found.get(NDA.dst);
  const mac = found.get(NDA.lladdr);
  if ((family !== AF_INET && family !== AF_INET6) || to === undefined || mac === undefined)
    return undefined;
  const permanent = (body.readUInt16LE(8) & NUD.permanent) !== 0;
  return {
    index: body.readInt32LE(4),
    to: addressFromBytes(to),
    mac: formatMac(mac),
    state: permanent ? 'permanent' : 'reachable',
    protocol: found.get(NDA.protocol)?.at(0) ?? 0,
  };
}

/** struct ndmsg */
function header(family: number, index: number, state: number, flags = 0): Buffer {
  const buffer = zeros(12);
  buffer.writeUInt8(family, 0);
  buffer.writeInt32LE(index, 4);
  buffer.writeUInt16LE(state, 8);
  buffer.writeUInt8(flags, 10);
  return buffer;
}
