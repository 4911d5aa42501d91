import type { Trace } from '@nsm/chain';
import type { Connections } from '@nsm/connection';
import type { FakeKernel } from '@nsm/datapath/fake';
import type { Transport } from '@nsm/rpc';

/** What the processes of a memory world share. */
export interface Mesh {
  readonly transport: Transport;
  readonly kernel: FakeKernel;
  readonly trace: Trace;
  /** Namespace of a pod. */
  readonly netns: (pod: string) => string;
  /** The tables of the managers that run, by node. */
  readonly managers: Map<string, Connections>;
  /** What clients were refused, and how often they refreshed and were healed. */
  readonly clients: Map<
    string,
    { readonly refusals: string[]; refreshes: number; heals: number; up: Promise<unknown> }
  >;
  /** Names of what is registered. */
  registered: () => readonly string[];
}
