import { closeSync, openSync } from 'node:fs';
import { parseAddress } from '@nsm/ip';
import { nest, text, u32 } from './attribute.ts';
import { bridgeAdd, IFLA, IFLA_INFO, ifinfo, linkSet, vethAdd, vxlanAdd } from './link-message.ts';
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from './message.ts';
import { inFreshNetns } from './netns.ts';
import { pushTag } from './bpf.ts';
import { clsactAdd, filterReplace } from './tc.ts';
import { type Rtnetlink, withRtnetlink } from './socket.ts';
import * as sys from './sys.ts';
import { addEspState } from './xfrm.ts';

/**
 * Whether the kernel has what a mesh can use, found out by using it. Every probe works in a network namespace of its own, which ends
 * with the probe and takes along whatever was made. Like any use, a probe may make the kernel load the module it takes.
 */
export type Feature =
  | 'netns'
  | 'rtnetlink'
  | 'veth'
  | 'vxlan'
  | 'vxlan6'
  | 'bridge'
  | 'rules'
  | 'rules6'
  | 'vlan'
  | 'bpf'
  | 'wireguard'
  | 'tun'
  | 'esp'
  | 'all-nsid'
  | 'peer-pidfd'
  | 'raw-icmp';

/** <linux/rtnetlink.h>, <linux/fib_rules.h>, <linux/if_link.h>, <linux/if_tun.h>, <linux/netlink.h>, <asm-generic/socket.h> */
const RTM_NEWLINK = 16;
const RTM_NEWRULE = 32;
const FR_ACT_TO_TBL = 1;
const FRA_PRIORITY = 6;
const IFLA_VLAN_ID = 1;
const TUNSETIFF = 0x400454ca;
const IFF_TUN_NO_PI = 0x1001;
const SOL_NETLINK = 270;
const NETLINK_LISTEN_ALL_NSID = 8;
const SO_PEERPIDFD = 77;
const IPPROTO_ICMP = 1;

const INDEX = 0x1000;

/** Uses a feature once. @throws Errno, NetlinkError: why it cannot be used; EPERM and EACCES are about privileges, not the kernel */
export const probe = (feature: Feature): void => probes[feature]();

const probes: Readonly<Record<Feature, () => void>> = {
  netns: () => inFreshNetns(() => undefined),
  rtnetlink: () => fresh(() => undefined),
  veth: () => fresh((rt) => rt.request([veth])),
  vxlan: () => fresh((rt) => raise(rt, tunnel('192.0.2.1', '192.0.2.2'))),
  vxlan6: () => fresh((rt) => raise(rt, tunnel('2001:db8::1', '2001:db8::2'))),
  bridge: () => fresh((rt) => raise(rt, bridgeAdd({ name: 'probe', index: INDEX }))),
  rules: () => fresh((rt) => rt.request([rule(sys.AF_INET)])),
  rules6: () => fresh((rt) => rt.request([rule(sys.AF_INET6)])),
  vlan: () => fresh((rt) => rt.request([veth, vlan])),
  bpf: () =>
    fresh((rt) => {
      rt.request([veth]);
      rt.request([clsactAdd(INDEX)]);
      filterReplace(rt, INDEX, { handle: 1, name: 'probe', program: pushTag(1, INDEX) });
    }),
  wireguard: () => fresh((rt) => rt.request([add('wireguard')])),
  tun: () => inFreshNetns(makeTun),
  esp: () => inFreshNetns(addEspState),
  'all-nsid': () => inFreshNetns(listenEverywhere),
  'peer-pidfd': enterPeer,
  'raw-icmp': () =>
    inFreshNetns(() => sys.close(sys.socket(sys.AF_INET, sys.SOCK_RAW, IPPROTO_ICMP))),
};

const fresh = (use: (rtnetlink: Rtnetlink) => void): void =>
  inFreshNetns(() => withRtnetlink(undefined, use));

/** A tunnel's socket is not opened before the link goes up. */
const raise = (rt: Rtnetlink, request: Request): void => {
  rt.request([request]);
  rt.request([linkSet(INDEX, { up: true })]);
};

const veth = vethAdd({ name: 'probe', index: INDEX }, { name: 'probe-peer', index: INDEX + 1 });

const tunnel = (local: string, remote: string): Request =>
  vxlanAdd(
    { name: 'probe', index: INDEX },
    { vni: 1, local: parseAddress(local), remote: parseAddress(remote), port: 4789 },
  );

const add = (kind: string, ...data: readonly Buffer[]): Request => ({
  type: RTM_NEWLINK,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([
    ifinfo(0, 0, 0),
    text(IFLA.ifname, `probe-${kind}`.slice(0, 15)),
    ...data,
    nest(
      IFLA.linkinfo,
      text(IFLA_INFO.kind, kind),
      // struct vlan ids have two bytes; other kinds are born without data.
      ...(kind === 'vlan' ? [nest(IFLA_INFO.data, VLAN_ID)] : []),
    ),
  ]),
  words: `ip link add type ${kind}`,
});

/** VLAN 1: an attribute of two bytes in host order, padded. */
const VLAN_ID = Buffer.from([6, 0, IFLA_VLAN_ID, 0, 1, 0, 0, 0]);
const vlan = add('vlan', u32(IFLA.link, INDEX));

/** `ip rule add priority 1 lookup 100`, in a struct fib_rule_hdr */
const rule = (family: number): Request => ({
  type: RTM_NEWRULE,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([
    Buffer.from([family, 0, 0, 0, 100, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0]),
    u32(FRA_PRIORITY, 1),
  ]),
  words: 'ip rule add priority 1 lookup 100',
});

/** A tun device that goes with its descriptor. */
function makeTun(): void {
  const fd = openSync('/dev/net/tun', 'r+');
  try {
    const ifreq = Buffer.alloc(40);
    ifreq.write('probe');
    ifreq.writeUInt16LE(IFF_TUN_NO_PI, 16);
    sys.ioctl(fd, TUNSETIFF, ifreq);
  } finally {
    closeSync(fd);
  }
}

function listenEverywhere(): void {
  const fd = sys.socket(sys.AF_NETLINK, sys.SOCK_RAW | sys.SOCK_CLOEXEC, 0);
  try {
    sys.setSocketOption(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
  } finally {
    sys.close(fd);
  }
}

/** Asks a unix socket for its peer, which is this process, and enters the namespace of that process. */
function enterPeer(): void {
  const pair = sys.socketPair(sys.AF_UNIX, sys.SOCK_STREAM | sys.SOCK_CLOEXEC);
  try {
    const pidfd = sys.getSocketOption(pair[0], sys.SOL_SOCKET, SO_PEERPIDFD);
    try {
      // Back and forth: the thread may live in another namespace than the process it belongs to.
      inFreshNetns(() => sys.setNetns(pidfd));
    } finally {
      sys.close(pidfd);
    }
  } finally {
    for (const fd of pair) sys.close(fd);
  }
}
