import { addressBytes, addressFromBytes, formatPrefix, network, type Prefix } from '@nsm/ip';
import { attribute, attributes, readU32, u32, u8 } from './attribute.ts';
import { type Message, NLM_F_CREATE, NLM_F_EXCL, reading, type Request } from './message.ts';
import { RTPROT_NSM } from './protocol.ts';
import type { Rtnetlink } from './socket.ts';
import { AF_INET, AF_INET6 } from './sys.ts';

/** <linux/rtnetlink.h>, <linux/fib_rules.h> */
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const HEADER = 12;
const FR_ACT_TO_TBL = 1;
const FRA = {
  src: 2,
  priority: 6,
  table: 15,
  protocol: 21,
  ipProto: 22,
  sport: 23,
  dport: 24,
} as const;

/** Ports from `start` to `end`, both included. The kernel takes 1 to 65534 (fib_rule_port_range_valid). */
export interface PortRange {
  readonly start: number;
  readonly end: number;
}

/** Packets that are routed by a table of their own. What is absent fits every packet. */
export interface Rule {
  readonly family: 4 | 6;
  /** The source address. */
  readonly from?: Prefix;
  /** IP protocol number: 6 TCP, 17 UDP. */
  readonly ipproto?: number;
  readonly sport?: PortRange;
  readonly dport?: PortRange;
  readonly table: number;
  /** Rules are tried from the lowest to the highest, equal ones in the order they were made. */
  readonly priority: number;
}

/** A rule as the kernel has it. */
export interface InstalledRule extends Rule {
  /** RTPROT_*: 0 unknown, 2 kernel; `RTPROT_NSM` is ours. */
  readonly protocol: number;
}

/** `ip rule add [from FROM] [ipproto N] [sport A-B] [dport A-B] table TABLE priority P protocol 78`. One that is there is fine. */
export const ruleAdd = (rule: Rule): Request => ({
  type: RTM_NEWRULE,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: encode(rule),
  words: `ip rule add ${words(rule)}`,
  ignore: ['EEXIST'],
});

/** `ip rule delete ...`, of ours only. One that is gone already is fine. */
export const ruleDelete = (rule: Rule): Request => ({
  type: RTM_DELRULE,
  flags: 0,
  body: encode(rule),
  words: `ip rule delete ${words(rule)}`,
  ignore: ['ENOENT'],
});

/** `ip rule show`, both families; those that do anything but look into a table are left out. @throws NetlinkError */
export const listRules = (rtnetlink: Rtnetlink): InstalledRule[] =>
  rtnetlink
    .dump({ type: RTM_GETRULE, flags: 0, body: Buffer.alloc(HEADER), words: 'ip rule show' })
    .flatMap((message) => decodeRule(message) ?? []);

/** Reads a RTM_NEWRULE message; undefined for another action, or another family than IPv4 and IPv6. @throws MalformedMessage */
export const decodeRule = (message: Message): InstalledRule | undefined =>
  reading(message, readRule);

function readRule(body: Buffer): InstalledRule | undefined {
  const family = { [AF_INET]: 4, [AF_INET6]: 6 }[body.readUInt8(0)];
  if ((family !== 4 && family !== 6) || body.readUInt8(7) !== FR_ACT_TO_TBL) return undefined;
  const found = attributes(body.subarray(HEADER));
  const src = found.get(FRA.src);
  const ipproto = found.get(FRA.ipProto)?.at(0) ?? 0;
  const [sport, dport] = [readPorts(found.get(FRA.sport)), readPorts(found.get(FRA.dport))];
  return {
    family,
    ...(src === undefined ? {} : { from: { ...addressFromBytes(src), length: body.readUInt8(2) } }),
    ...(ipproto === 0 ? {} : { ipproto }),
    ...(sport === undefined ? {} : { sport }),
    ...(dport === undefined ? {} : { dport }),
    table: readU32(found.get(FRA.table)) ?? body.readUInt8(4),
    priority: readU32(found.get(FRA.priority)) ?? 0,
    protocol: found.get(FRA.protocol)?.at(0) ?? 0,
  };
}

/** struct fib_rule_hdr, then the selectors that are there. */
function encode({ family, from, ipproto, sport, dport, table, priority }: Rule): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0);
  header.writeUInt8(from?.length ?? 0, 2);
  header.writeUInt8(table > 255 ? 0 : table, 4);
  header.writeUInt8(FR_ACT_TO_TBL, 7);
  return Buffer.concat([
    header,
    ...(from === undefined ? [] : [attribute(FRA.src, addressBytes(network(from)))]),
    ...(ipproto === undefined ? [] : [u8(FRA.ipProto, ipproto)]),
    ...(sport === undefined ? [] : [ports(FRA.sport, sport)]),
    ...(dport === undefined ? [] : [ports(FRA.dport, dport)]),
    u32(FRA.table, table),
    u32(FRA.priority, priority),
    u8(FRA.protocol, RTPROT_NSM),
  ]);
}

/** struct fib_rule_port_range */
function ports(type: number, { start, end }: PortRange): Buffer {
  const range = Buffer.alloc(4);
  range.writeUInt16LE(start, 0);
  range.writeUInt16LE(end, 2);
  return attribute(type, range);
}

const readPorts = (range: Buffer | undefined): PortRange | undefined =>
  range === undefined || range.length < 4
    ? undefined
    : { start: range.readUInt16LE(0), end: range.readUInt16LE(2) };

const words = ({ from, ipproto, sport, dport, table, priority }: Rule): string =>
  [
    ...(from === undefined ? [] : [`from ${formatPrefix(network(from))}`]),
    ...(ipproto === undefined ? [] : [`ipproto ${ipproto}`]),
    ...(sport === undefined ? [] : [`sport ${sport.start}-${sport.end}`]),
    ...(dport === undefined ? [] : [`dport ${dport.start}-${dport.end}`]),
    `table ${table} priority ${priority}`,
  ].join(' ');
