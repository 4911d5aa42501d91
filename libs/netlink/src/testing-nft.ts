import { attribute, nest, text } from './attribute.ts';
import {
  decodeAnswer,
  decodeMessages,
  encodeMessage,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_REQUEST,
} from './message.ts';
import { inNetns, type Netns } from './netns.ts';
import * as sys from './sys.ts';

/** <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>, <linux/netfilter_bridge.h> */
const NETLINK_NETFILTER = 12;
const BATCH = { begin: 0x10, end: 0x11 } as const;
const NF_TABLES = 10;
const NEW = {
  table: NF_TABLES << 8,
  chain: (NF_TABLES << 8) | 3,
  rule: (NF_TABLES << 8) | 6,
} as const;
const BRIDGE = { family: 7, forward: 2 } as const;
const L4PROTO = 16;
const TRANSPORT = 2;
const REGISTER = 1;
const TCP = 6;

/**
 * `nft add table bridge TABLE; nft add chain bridge TABLE c { type filter hook forward priority 0; }; nft add rule bridge TABLE c tcp
 * dport PORT drop`, for machines without the program. @throws Error
 */
export function nftDropTcp(netns: Netns, table: string, port: number): void {
  const names = (...types: readonly number[]): Buffer[] =>
    types.map((type, i) => text(type, [table, 'c'][i] ?? ''));
  const rule = nest(
    4,
    expression('meta', be32(2, L4PROTO), be32(1, REGISTER)),
    compare(Uint8Array.of(TCP)),
    expression('payload', be32(1, REGISTER), be32(2, TRANSPORT), be32(3, 2), be32(4, 2)),
    compare(Uint8Array.of(port >>> 8, port & 0xff)),
    expression('immediate', be32(1, 0), nest(2, nest(2, be32(1, 0)))),
  );
  const messages = [
    message(BATCH.begin, 0, [], NF_TABLES),
    message(NEW.table, NLM_F_CREATE, names(1)),
    message(NEW.chain, NLM_F_CREATE, [
      ...names(1, 3),
      nest(4, be32(1, BRIDGE.forward), be32(2, 0)),
      text(7, 'filter'),
    ]),
    message(NEW.rule, NLM_F_CREATE | NLM_F_ACK, [...names(1, 2), rule]),
    message(BATCH.end, 0, [], NF_TABLES),
  ];
  const fd = inNetns(netns, () =>
    sys.socket(sys.AF_NETLINK, sys.SOCK_RAW | sys.SOCK_CLOEXEC, NETLINK_NETFILTER),
  );
  try {
    sys.send(fd, Buffer.concat(messages));
    const answer = Buffer.alloc(8_192);
    const [first] = decodeMessages(answer.subarray(0, sys.receive(fd, answer, 0)));
    const { errno = -1 } = (first && decodeAnswer(first)) ?? {};
    if (errno !== 0) throw new Error(`nft: ${sys.strerror(errno)}`);
  } finally {
    sys.close(fd);
  }
}

/** A message with its struct nfgenmsg. */
function message(type: number, flags: number, body: readonly Buffer[], subsystem = 0): Buffer {
  const family = subsystem === 0 ? BRIDGE.family : 0;
  const header = Buffer.from([family, 0, 0, subsystem]);
  return encodeMessage({
    type,
    flags: flags | NLM_F_REQUEST,
    seq: 1,
    body: Buffer.concat([header, ...body]),
  });
}

const expression = (name: string, ...data: readonly Buffer[]): Buffer =>
  nest(1, text(1, name), nest(2, ...data));

const compare = (value: Uint8Array): Buffer =>
  expression('cmp', be32(1, REGISTER), be32(2, 0), nest(3, attribute(1, value)));

function be32(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return attribute(type, payload);
}
