import type { NetworkService } from '@nsm/proto';
import type { Environment } from './topology.ts';

/** The programs a lab runs. */
export type Program = 'identity' | 'registry' | 'nsmgr' | 'forwarder' | 'nse' | 'nsc';

/** The order of start; they stop the other way round. Processes of one program start together. */
export const startOrder: readonly Program[] = [
  'identity',
  'registry',
  'nsmgr',
  'forwarder',
  'nse',
  'nsc',
];

/** A network namespace of a lab. */
export interface PlannedNamespace {
  /** What the lab calls it: the name of its node or pod, `registry` or `underlay`. */
  readonly name: string;
  readonly kind: 'underlay' | 'registry' | 'node' | 'pod';
  /** The node a pod is on. */
  readonly node?: string;
  /** Where it is mounted. */
  readonly path: string;
}

/** A veth pair that joins a namespace to the bridge of the underlay. */
export interface PlannedPort {
  readonly namespace: string;
  /** Its name at the bridge; within the namespace it is `eth0`. */
  readonly name: string;
  /** With the length of the underlay's prefix. */
  readonly address: string;
}

/** A process of a lab. */
export interface PlannedProcess {
  readonly name: string;
  readonly program: Program;
  /** Name of the namespace it runs in. */
  readonly namespace: string;
  /** Where it answers health checks; undefined for clients, which serve nothing. */
  readonly url: string | undefined;
  readonly env: Environment;
  /** File its output is appended to. */
  readonly log: string;
}

/** Everything a lab makes, as a value that can be written down. */
export interface Plan {
  readonly name: string;
  readonly folder: string;
  readonly namespaces: readonly PlannedNamespace[];
  readonly underlay: { readonly mtu: number; readonly ports: readonly PlannedPort[] };
  /** The Workload API that gives whoever looks after the lab an identity; absent: the lab is without identities. */
  readonly identityUrl?: string;
  /** In the order of their start. */
  readonly processes: readonly PlannedProcess[];
  /** Where the registry can be reached from any namespace. */
  readonly registryUrl: string;
  /** By node, where its manager can be reached from any namespace. */
  readonly managerUrls: Readonly<Record<string, string>>;
  /** Services that need more than their endpoints can register of them. */
  readonly registrations: readonly NetworkService[];
  /** By client, how many wires it asks for. */
  readonly wires: Readonly<Record<string, number>>;
}

/** Where a plan puts things, and what all of its processes are told. */
export interface PlanOptions {
  /** Folder of this lab: sockets, logs, state. */
  readonly folder: string;
  /** Folder of the namespaces; /run/netns shows them to ip(8). */
  readonly netnsFolder: string;
  /** @default <folder>/log */
  readonly logFolder?: string | undefined;
  /** @default info */
  readonly logLevel?: string | undefined;
  /** A Go duration. @default 10m */
  readonly maxTokenLifetime?: string | undefined;
  /** A Go duration, per attempt of a client. @default 15s */
  readonly requestTimeout?: string | undefined;
  /** More settings of a process, which win over those of the topology. */
  readonly env?: ((process: { name: string; program: Program }) => Environment) | undefined;
}
