import { attributes, nest, readText, text, u32 } from './attribute.ts';
import { type Device, deviceIndex, deviceName } from './device.ts';
import {
  type Message,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  reading,
  type Request,
} from './message.ts';
import type { Rtnetlink } from './socket.ts';
import { close, loadProgram } from './sys.ts';

/** <linux/rtnetlink.h>, <linux/pkt_sched.h>, <linux/pkt_cls.h> */
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const TCA = { kind: 1, options: 2 } as const;
const TCA_BPF = { fd: 6, name: 7, flags: 8 } as const;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const CLSACT = { handle: 0xffff0000, parent: 0xfffffff1 } as const;
const HOOK = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
const BPF_PROG_TYPE_SCHED_CLS = 3;
/** ETH_P_ALL in network order. */
const PROTOCOL_ALL = 0x0300;
/** All our filters of a hook: the letters NS as a number, behind those who want to see everything first. */
const PRIORITY = 0x4e53;

/** A filter at the ingress of a link: a program that decides by itself, found again by `handle`, told by `name`. */
export interface Filter {
  /** 1..4294967295 */
  readonly handle: number;
  /** What it does, up to 255 bytes. */
  readonly name: string;
  readonly program: Buffer;
}

/** A filter as the kernel has it. */
export interface InstalledFilter {
  readonly hook: 'ingress' | 'egress';
  readonly handle: number;
  /** Empty where it has none. */
  readonly name: string;
  /** False: somebody else's. */
  readonly ours: boolean;
}

/** `tc qdisc add dev NAME clsact`. One that is there already is fine. */
export const clsactAdd = (device: Device): Request => ({
  type: RTM_NEWQDISC,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([
    tcmsg(deviceIndex(device), CLSACT.handle, CLSACT.parent, 0),
    text(TCA.kind, 'clsact'),
  ]),
  words: `tc qdisc add dev ${deviceName(device)} clsact`,
  ignore: ['EEXIST'],
});

/** `tc qdisc del dev NAME clsact`: its filters go with it. None at all is fine. */
export const clsactDelete = (device: Device): Request => ({
  type: RTM_DELQDISC,
  flags: 0,
  body: tcmsg(deviceIndex(device), CLSACT.handle, CLSACT.parent, 0),
  words: `tc qdisc del dev ${deviceName(device)} clsact`,
  ignore: ['ENOENT', 'EINVAL', 'ENODEV'],
});

/** `tc filter replace dev NAME ingress pref PRIORITY handle HANDLE bpf direct-action`, its program loaded before. @throws NetlinkError, Errno */
export function filterReplace(rtnetlink: Rtnetlink, device: Device, filter: Filter): void {
  const { handle, name, program } = filter;
  const fd = loadProgram(BPF_PROG_TYPE_SCHED_CLS, program, 'GPL');
  try {
    rtnetlink.request([
      {
        type: RTM_NEWTFILTER,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        body: Buffer.concat([
          ourFilter(device, handle),
          text(TCA.kind, 'bpf'),
          nest(
            TCA.options,
            u32(TCA_BPF.fd, fd),
            text(TCA_BPF.name, name),
            u32(TCA_BPF.flags, TCA_BPF_FLAG_ACT_DIRECT),
          ),
        ]),
        words: `tc filter replace dev ${deviceName(device)} ingress handle ${handle} bpf ${name}`,
      },
    ]);
  } finally {
    close(fd);
  }
}

/** `tc filter del dev NAME ingress pref PRIORITY handle HANDLE bpf`. One that is gone already is fine. */
export const filterDelete = (device: Device, handle: number): Request => ({
  type: RTM_DELTFILTER,
  flags: 0,
  body: Buffer.concat([ourFilter(device, handle), text(TCA.kind, 'bpf')]),
  words: `tc filter del dev ${deviceName(device)} ingress handle ${handle}`,
  ignore: ['ENOENT', 'EINVAL', 'ENODEV'],
});

/** `tc filter show dev NAME ingress` and `egress`, somebody else's too. @throws NetlinkError */
export const listFilters = (rtnetlink: Rtnetlink, index: number): InstalledFilter[] =>
  (['ingress', 'egress'] as const).flatMap((hook) =>
    rtnetlink
      .dump({
        type: RTM_GETTFILTER,
        flags: 0,
        body: tcmsg(index, 0, HOOK[hook], 0),
        words: `tc filter show dev if${index} ${hook}`,
        ignore: ['ENODEV', 'EINVAL'],
      })
      .flatMap((message) => decodeFilter(hook, message) ?? []),
  );

/** Reads a RTM_NEWTFILTER message; undefined for the head of a list, which every priority has beside its filters. @throws MalformedMessage */
export const decodeFilter = (
  hook: InstalledFilter['hook'],
  message: Message,
): InstalledFilter | undefined => reading(message, (body) => readFilter(hook, body));

function readFilter(hook: InstalledFilter['hook'], body: Buffer): InstalledFilter | undefined {
  const handle = body.readUInt32LE(8);
  if (handle === 0) return undefined;
  const found = attributes(body.subarray(20));
  const options = attributes(found.get(TCA.options) ?? Buffer.alloc(0));
  const kind = readText(found.get(TCA.kind)) ?? '';
  return {
    hook,
    handle,
    name: kind === 'bpf' ? (readText(options.get(TCA_BPF.name)) ?? '') : '',
    ours: kind === 'bpf' && hook === 'ingress' && body.readUInt32LE(16) >>> 16 === PRIORITY,
  };
}

const ourFilter = (device: Device, handle: number): Buffer =>
  tcmsg(deviceIndex(device), handle, HOOK.ingress, ((PRIORITY << 16) | PROTOCOL_ALL) >>> 0);

/** struct tcmsg */
function tcmsg(index: number, handle: number, parent: number, info: number): Buffer {
  const header = Buffer.alloc(20);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(handle, 8);
  header.writeUInt32LE(parent, 12);
  header.writeUInt32LE(info, 16);
  return header;
}
