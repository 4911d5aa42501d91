import type { Match } from '@nsm/proto';
import type { RequestUrl } from '@nsm/connection';

/** What a lab is made of, as its YAML file says it, with every default filled in. Made by `parseTopology`. */
export interface Topology {
  /** Names the lab on this machine. */
  readonly name: string;
  /** Without identities, encryption and authentication. */
  readonly insecure: boolean;
  readonly underlay: Underlay;
  readonly registry: RegistrySpec;
  readonly nodes: readonly NodeSpec[];
  readonly services: readonly ServiceSpec[];
  readonly endpoints: readonly EndpointSpec[];
  readonly clients: readonly ClientSpec[];
}

/** The network that joins the nodes. */
export interface Underlay {
  /** Its addresses, host bits clear. The registry gets the first one, the nodes the next ones. */
  readonly cidr: string;
  /** Bytes. */
  readonly mtu: number;
}

export interface RegistrySpec {
  readonly store: 'memory' | 'sqlite';
  readonly env: Environment;
}

/** A network namespace with a manager and a forwarder of its own. */
export interface NodeSpec {
  readonly name: string;
  /** For the manager and the forwarder. */
  readonly env: Environment;
}

export type Payload = 'IP' | 'ETHERNET';

export interface ServiceSpec {
  readonly name: string;
  readonly payload: Payload;
  /** How endpoints are chosen by labels (contract 3.11); empty: any. */
  readonly matches: readonly Match[];
}

/** A pod that offers services. */
export interface EndpointSpec {
  readonly name: string;
  readonly node: string;
  /** Names of declared services, all of one payload. */
  readonly services: readonly string[];
  readonly payload: Payload;
  /** Groups of prefixes; a wire gets one pair of addresses from each group. Empty: the endpoint's default. */
  readonly prefixes: readonly (readonly string[])[];
  readonly labels: Readonly<Record<string, string>>;
  readonly env: Environment;
}

/** A pod that wants wires. */
export interface ClientSpec {
  readonly name: string;
  readonly node: string;
  /** One wire each. The client's labels are merged into those of the URL, which win. */
  readonly services: readonly RequestUrl[];
  readonly labels: Readonly<Record<string, string>>;
  readonly env: Environment;
}

/** More settings of a process, which win over those the lab makes. */
export type Environment = Readonly<Record<string, string>>;
