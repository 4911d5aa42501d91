import { nest, text, u32 } from './attribute.ts';
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from './message.ts';
import type { Rtnetlink } from './socket.ts';
import * as sys from './sys.ts';

/** <linux/bpf.h>, <linux/rtnetlink.h>, <linux/pkt_sched.h>, <linux/pkt_cls.h> */
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_FUNC_SKB_VLAN_PUSH = 18;
const RTM_NEWQDISC = 36;
const RTM_NEWTFILTER = 44;
const TC_H_CLSACT = 0xffff_fff1;
const CLSACT_EGRESS = 0xffff_fff3;
/** Priority 1, every protocol (ETH_P_ALL in network order). */
const PRIORITY_AND_PROTOCOL = 0x0001_0300;
const TCA = { kind: 1, options: 2 } as const;
const TCA_BPF = { fd: 6, name: 7, flags: 8 } as const;
const DIRECT_ACTION = 1;

/** Loads a program that tags packets with VLAN 1 and hangs it onto a link's way out. @throws Errno, NetlinkError */
export function probeBpf(rtnetlink: Rtnetlink, index: number): void {
  const program = loadTagger();
  try {
    rtnetlink.request([clsact(index), filter(index, program)]);
  } finally {
    sys.close(program);
  }
}

/** struct bpf_insn */
const instruction = (code: number, register: number, value: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeUInt8(code, 0);
  buffer.writeUInt8(register, 1);
  buffer.writeInt32LE(value, 4);
  return buffer;
};

/** The first part of union bpf_attr for a program; the first register holds the packet when it starts. */
function loadTagger(): number {
  const [move, call, exit] = [0xb7, 0x85, 0x95];
  const code = Buffer.concat([
    instruction(move, 2, 0x0081), // ETH_P_8021Q in network order
    instruction(move, 3, 1),
    instruction(call, 0, BPF_FUNC_SKB_VLAN_PUSH),
    instruction(move, 0, 0),
    instruction(exit, 0, 0),
  ]);
  const licence = Buffer.from('GPL\0');
  const attributes = Buffer.alloc(48);
  attributes.writeUInt32LE(BPF_PROG_TYPE_SCHED_CLS, 0);
  attributes.writeUInt32LE(code.length / 8, 4);
  attributes.writeBigUInt64LE(sys.addressOf(code), 8);
  attributes.writeBigUInt64LE(sys.addressOf(licence), 16);
  return sys.bpf(BPF_PROG_LOAD, attributes);
}

const clsact = (index: number): Request => ({
  type: RTM_NEWQDISC,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([tcmsg(index, 0xffff_0000, TC_H_CLSACT, 0), text(TCA.kind, 'clsact')]),
  words: `tc qdisc add dev if${index} clsact`,
});

const filter = (index: number, program: number): Request => ({
  type: RTM_NEWTFILTER,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([
    tcmsg(index, 1, CLSACT_EGRESS, PRIORITY_AND_PROTOCOL),
    text(TCA.kind, 'bpf'),
    nest(
      TCA.options,
      u32(TCA_BPF.fd, program),
      text(TCA_BPF.name, 'probe'),
      u32(TCA_BPF.flags, DIRECT_ACTION),
    ),
  ]),
  words: `tc filter add dev if${index} egress bpf direct-action`,
});

/** struct tcmsg */
function tcmsg(index: number, handle: number, parent: number, info: number): Buffer {
  const buffer = Buffer.alloc(20);
  buffer.writeInt32LE(index, 4);
  buffer.writeUInt32LE(handle, 8);
  buffer.writeUInt32LE(parent, 12);
  buffer.writeUInt32LE(info, 16);
  return buffer;
}
