import type { Clock, Trace } from '@nsm/chain';
import {
  createConnections,
  createPeers,
  formatRequestUrl,
  type Connections,
  type OnUndoFailure,
  type RequestUrl,
} from '@nsm/connection';
import type { TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { Connection } from '@nsm/proto';
import type { Transport } from '@nsm/rpc';
import { nscChain } from './chain.ts';
import type { Attempt } from './attempt.ts';
import type { Liveness } from './liveness.ts';
import { recover } from './recover.ts';
import { keepWire } from './wire.ts';

export interface NscOptions {
  readonly name: string;
  readonly newId: () => string;
  readonly random: () => number;
  readonly clock: Clock;
  readonly tokens: TokenSource;
  readonly policies: Policies;
  readonly transport: Transport;
  /** The manager of this node. */
  readonly managerUrl: string;
  /** The namespace interfaces shall be in: inode://dev/ino. */
  readonly netns: string;
  /** One wire each. */
  readonly requests: readonly RequestUrl[];
  /** Which of them may have the same addresses: groups, by what `formatRequestUrl` makes of them. @default none */
  readonly awarenessGroups?: readonly ReadonlySet<string>[];
  /** Per attempt, in ms. */
  readonly requestTimeoutMs: number;
  /** How to find out whether a wire carries packets; undefined: nobody asks. */
  readonly liveness?: Liveness | undefined;
  readonly onUndoFailure: OnUndoFailure;
  /** Around each attempt and the elements of its chain. */
  readonly trace?: Trace;
  /** Told of every attempt to connect or refresh; `id` names the wire. */
  readonly onAttempt: (id: string, request: RequestUrl, attempt: Attempt) => void;
  /** Told of a wire that an earlier process left and this one keeps. */
  readonly onRecovered?: (id: string) => void;
}

/** A client with its wires. */
export interface Nsc {
  readonly connections: Connections;
  /** Resolves when all wires have been up. */
  readonly up: Promise<readonly Connection[]>;
  /** Takes all wires down. */
  stop(): Promise<void>;
}

export async function createNsc(options: NscOptions): Promise<Nsc> {
  const { name, transport, managerUrl, netns, requests, requestTimeoutMs } = options;
  const connections = createConnections(options.onUndoFailure);
  const peers = createPeers({ name, dialer: transport, connections, clock: options.clock });
  const urls = new Map(requests.map((request, n) => [`${name}-${n}`, formatRequestUrl(request)]));
  const share = (...ids: readonly string[]): boolean =>
    (options.awarenessGroups ?? []).some((group) =>
      ids.every((id) => group.has(urls.get(id) ?? '')),
    );
  const chain = nscChain({ ...options, connections, peers, share, dialer: transport });
  const wires = requests.map((request, n) => {
    const id = `${name}-${n}`;
    return keepWire({
      ...options,
      id,
      request,
      chain,
      connections,
      recover: async (signal) => {
        const asked = { dialer: transport, managerUrl, netns, timeoutMs: requestTimeoutMs };
        const recovered = await recover(asked, id, request, signal);
        if (recovered) options.onRecovered?.(id);
        return recovered;
      },
      onAttempt: (attempt) => options.onAttempt(id, request, attempt),
    });
  });
  const up = Promise.all(wires.map((wire) => wire.up));
  up.catch(() => undefined); // who does not ask need not hear
  return {
    connections,
    up,
    stop: async () => {
      await Promise.all(wires.map((wire) => wire.close()));
      peers.close();
    },
  };
}
