import type { Feature } from '@nsm/netlink';

/** What a check is of. */
export interface Check {
  readonly name: string;
  /** Whether a mesh works without it, with less. */
  readonly need: 'required' | 'optional';
  /** What it is needed for, or what is missing without it. */
  readonly reason: string;
  /** What to do where it is missing. */
  readonly remedy: string;
}

/** A check of the kernel: in order, the first of `by` that works settles it; `poor` says what is worse about the later ones. */
export interface KernelCheck extends Check {
  readonly by: readonly Feature[];
  readonly poor?: string;
}

const module = (name: string, option: string): string =>
  `modprobe ${name}; or a kernel with ${option}`;

/** What of the kernel a mesh needs, and what it can use. */
export const KERNEL: readonly KernelCheck[] = [
  {
    name: 'network namespaces',
    need: 'required',
    reason: 'every workload lives in one, and wires end in them',
    remedy: 'run as root, or in a container with CAP_SYS_ADMIN; else a kernel with CONFIG_NET_NS',
    by: ['netns'],
  },
  {
    name: 'rtnetlink',
    need: 'required',
    reason: 'every link, address and route is made through it, with strict checking (Linux 4.20)',
    remedy: 'a kernel of 4.20 or later',
    by: ['rtnetlink'],
  },
  {
    name: 'veth',
    need: 'required',
    reason: 'wires within a node',
    remedy: module('veth', 'CONFIG_VETH'),
    by: ['veth'],
  },
  {
    name: 'vxlan over IPv4',
    need: 'required',
    reason: 'wires between nodes',
    remedy: module('vxlan', 'CONFIG_VXLAN'),
    by: ['vxlan'],
  },
  {
    name: 'vxlan over IPv6',
    need: 'optional',
    reason: 'wires between nodes that know each other by IPv6 addresses',
    remedy: 'boot without ipv6.disable=1; or a kernel with CONFIG_IPV6 and CONFIG_VXLAN',
    by: ['vxlan6'],
  },
  {
    name: 'bridge',
    need: 'optional',
    reason: 'labs: it joins their nodes; a mesh between machines needs none',
    remedy: module('bridge', 'CONFIG_BRIDGE'),
    by: ['bridge'],
  },
  {
    name: 'policy rules, IPv4',
    need: 'optional',
    reason: 'policy routes of a connection (from, protocol, ports)',
    remedy: 'a kernel with CONFIG_IP_MULTIPLE_TABLES',
    by: ['rules'],
  },
  {
    name: 'policy rules, IPv6',
    need: 'optional',
    reason: 'policy routes of a connection (from, protocol, ports)',
    remedy: 'a kernel with CONFIG_IPV6_MULTIPLE_TABLES',
    by: ['rules6'],
  },
  {
    name: 'vlan',
    need: 'optional',
    reason: 'interfaces and remote wires with a VLAN tag',
    remedy: module('8021q', 'CONFIG_VLAN_8021Q, or CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF'),
    by: ['vlan', 'bpf'],
    poor: 'by eBPF programs on tc clsact, as the kernel has no VLAN devices',
  },
  {
    name: 'wireguard',
    need: 'optional',
    reason: 'encrypted wires between nodes, in the kernel',
    remedy: `${module('wireguard', 'CONFIG_WIREGUARD')}; or, some 25 times slower than VXLAN, wireguard-go`,
    by: ['wireguard'],
  },
  {
    name: 'tun',
    need: 'optional',
    reason: 'wireguard-go, where the kernel has no WireGuard',
    remedy: `${module('tun', 'CONFIG_TUN')}; in a container, give it the device /dev/net/tun`,
    by: ['tun'],
  },
  {
    name: 'events of all namespaces',
    need: 'optional',
    reason: 'a link that is deleted by hand is noticed at once, instead of at the next refresh',
    remedy: 'run as root, or with CAP_NET_BROADCAST',
    by: ['all-nsid'],
  },
  {
    name: 'peer process descriptors',
    need: 'optional',
    reason: "a caller's namespace is proven by its unix socket (SO_PEERPIDFD)",
    remedy: 'a kernel of 6.5 or later; with an older one, callers have to pass the descriptor',
    by: ['peer-pidfd'],
  },
];

/** Capabilities (<linux/capability.h>) by bit, and what a forwarder does with them. */
export const CAPABILITIES: readonly (Check & { readonly bit: number })[] = [
  {
    name: 'CAP_NET_ADMIN',
    bit: 12,
    need: 'required',
    reason: 'the forwarder programs links, addresses and routes',
    remedy: 'run as root; in a container: --cap-add NET_ADMIN',
  },
  {
    name: 'CAP_SYS_ADMIN',
    bit: 21,
    need: 'required',
    reason: "the forwarder enters the workloads' namespaces",
    remedy: 'run as root; in a container: --cap-add SYS_ADMIN',
  },
  {
    name: 'CAP_SYS_PTRACE',
    bit: 19,
    need: 'optional',
    reason: 'the forwarder finds namespaces of other users in /proc, where no descriptor is passed',
    remedy: 'run as root; in a container: --cap-add SYS_PTRACE',
  },
  {
    name: 'CAP_NET_RAW',
    bit: 13,
    need: 'optional',
    reason: 'pings through wires',
    remedy: 'run as root; in a container: --cap-add NET_RAW',
  },
];
