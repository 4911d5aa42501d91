/**
 * What the kernel shall look like for one connection on one hop: a pure value in plain JSON, so that it can be compared, stored and
 * posted to a thread. Texts are canonical (see `checkPlan`): two plans that mean the same are equal character by character.
 */
export interface Plan {
  /** The connection's id on this hop: the id of this hop's path segment. */
  readonly id: string;
  /** Whose plan it is, for example the forwarder's name: several may share a machine. Becomes part of the link alias. */
  readonly owner?: string;
  readonly link: Veth | Vxlan | Vlan | Wireguard;
}

/** Both ends are on this machine. */
export interface Veth {
  readonly kind: 'veth';
  readonly client: End;
  readonly endpoint: End;
}

/** One end is here, the other behind a tunnel. */
export interface Vxlan {
  readonly kind: 'vxlan';
  readonly side: Side;
  readonly end: End;
  /** 1..16777215, arbitrated by the kernel per node and port. */
  readonly vni: number;
  /** Tunnel addresses, of one family: this node's and the other's. */
  readonly local: string;
  readonly remote: string;
  /** UDP port, on both nodes. */
  readonly port: number;
}

/** The client is here, and what it sends leaves with a VLAN tag through a link of this node. */
export interface Vlan {
  readonly kind: 'vlan';
  readonly side: Side;
  readonly end: End;
  /** 1..4094; 0: frames without a tag. */
  readonly tag: number;
  /** A link of the node that leads to a physical network, by its name, or an interface that an endpoint gets all its wires on. */
  readonly carrier: { readonly device: string } | Trunk;
}

/** An interface in the endpoint's namespace that carries the wires of many clients, each with a tag of its own. */
export interface Trunk {
  /** `inode://<dev>/<ino>` */
  readonly netns: string;
  /** Interface name, 1..15 bytes. */
  readonly name: string;
}

/** One end is here, the other behind an encrypted tunnel that carries IP. No private key is ever part of a plan. */
export interface Wireguard {
  readonly kind: 'wireguard';
  readonly side: Side;
  /** Its `mac` is empty and it has no neighbours: such a link has no link-layer addresses. */
  readonly end: End;
  /** Tunnel addresses, of one family: this node's and the other's. */
  readonly local: string;
  readonly remote: string;
  /** UDP ports: of the device here, and of the other one. */
  readonly port: number;
  readonly remotePort: number;
  /** Base64 of 32 bytes: of the device here, and of the other one. */
  readonly publicKey: string;
  readonly peerKey: string;
}

/** Which workload an end belongs to. */
export type Side = 'client' | 'endpoint';

/** A link in a workload's namespace and what is programmed on it (contract part 5). */
export interface End {
  /** `inode://<dev>/<ino>` */
  readonly netns: string;
  /** Interface name, 1..15 bytes. */
  readonly name: string;
  /** Octets. Absent: the kernel's default, and on a change as it is. */
  readonly mtu?: number;
  readonly mac: string;
  /** `address/length` */
  readonly addresses: readonly string[];
  readonly routes: readonly PlannedRoute[];
  readonly neighbours: readonly PlannedNeighbour[];
  readonly sysctls: readonly Sysctl[];
  /** In the order in which they are tried. Absent: none. */
  readonly policies?: readonly PlannedPolicy[];
}

/** A route out of the link. Without `via` the destination is on the link; `scope link` exists for IPv4 only. */
export interface PlannedRoute {
  /** Masked `address/length` */
  readonly to: string;
  /** The gateway, which counts as on the link. */
  readonly via?: string;
  readonly scope?: 'link';
}

/**
 * Packets of the namespace that are routed by a table of their own (contract 5.4): a rule, and the routes of its table, all out of
 * this link and of one family. Which table that is, is chosen in the kernel and found again there.
 */
export interface PlannedPolicy extends Selector {
  /** At least one. */
  readonly routes: readonly PlannedRoute[];
}

/** What packets a policy is for; what is absent fits every packet. */
export interface Selector {
  /** The source: masked `address/length` */
  readonly from?: string;
  /** IP protocol number, 1..255 */
  readonly proto?: number;
  /** First and last port, both included, 1..65534 */
  readonly srcPorts?: PortRange;
  readonly dstPorts?: PortRange;
}

/** First and last. */
export type PortRange = readonly [number, number];

/** The link-layer address of a neighbour. */
export interface PlannedNeighbour {
  readonly to: string;
  readonly mac: string;
  readonly state: 'permanent' | 'reachable';
}

/** A setting of the namespace: `path` below /proc/sys. It outlives the link. */
export interface Sysctl {
  readonly path: string;
  readonly value: string;
  /** A refusal is accepted, as the wire works without it. */
  readonly optional?: boolean;
}

/** The ends of a plan with their sides: two of a veth pair, one of a tunnel or VLAN. */
export const endsOf = ({ link }: Plan): { readonly side: Side; readonly end: End }[] =>
  link.kind === 'veth'
    ? [
        { side: 'client', end: link.client },
        { side: 'endpoint', end: link.endpoint },
      ]
    : [{ side: link.side, end: link.end }];

/** Whether two plans mean the same. */
export const samePlan = (a: Plan, b: Plan): boolean =>
  a === b || JSON.stringify(a) === JSON.stringify(b);

/** Whether the link of `was` can become that of `plan` without being made anew. */
export function sameWire(a: Plan, b: Plan): boolean {
  const identity = ({ id, link, ...plan }: Plan): string =>
    JSON.stringify([
      id,
      link.kind,
      ...endsOf({ id, link, ...plan }).map(({ side, end }) => [side, end.netns]),
      ...(link.kind === 'vxlan' ? [link.vni, link.local, link.remote, link.port] : []),
      ...(link.kind === 'vlan' ? [link.tag, link.carrier] : []),
    ]);
  return a === b || identity(a) === identity(b);
}
