/**
 * What `planFrom` reads of a connection: a narrow view of the protocol's messages, so that they fit as they are (contract 1.3, 1.4).
 */
export interface Wire {
  /** The connection's id on this hop. */
  readonly id: string;
  /** Who programs it; see `Plan.owner`. */
  readonly owner?: string;
  /** The answered context: what the endpoint decided. */
  readonly context: WireContext | undefined;
  /** `IP` or `ETHERNET`; empty means IP. */
  readonly payload: string;
  /** The mechanism towards the client, and the one towards the endpoint. */
  readonly client: WireMechanism | undefined;
  readonly endpoint: WireMechanism | undefined;
  /** The link that carries tunnels. */
  readonly underlay: { readonly mtu: number };
  /** The link of this node that leads to the physical network of a VLAN, by its name. */
  readonly network?: string;
}

/** Contract 4: type and parameters. */
export interface WireMechanism {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Contract 1.4 and 5. */
export interface WireContext {
  readonly ipContext?: WireIpContext | undefined;
  readonly ethernetContext?: { readonly srcMac: string; readonly dstMac: string } | undefined;
  /** 0: not set */
  readonly MTU: number;
}

/** Contract 1.4, IPContext: what the kernel is programmed with. */
export interface WireIpContext {
  readonly srcIpAddrs: readonly string[];
  readonly dstIpAddrs: readonly string[];
  readonly srcRoutes: readonly WireRoute[];
  readonly dstRoutes: readonly WireRoute[];
  readonly ipNeighbors: readonly { readonly ip: string; readonly hardwareAddress: string }[];
  /** Absent: none. */
  readonly policies?: readonly WirePolicy[];
}

/** Contract 1.4, PolicyRoute: empty texts fit every packet, no routes mean the default route. */
export interface WirePolicy {
  readonly from: string;
  readonly proto: string;
  readonly dstPort: string;
  readonly srcPort: string;
  readonly routes: readonly WireRoute[];
}

/** Contract 1.4, Route: an empty next hop is derived (5.3). */
export interface WireRoute {
  readonly prefix: string;
  readonly nextHop: string;
}
