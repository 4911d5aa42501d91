import {
  createConnections,
  createPeers,
  serveConnections,
  type OnUndoFailure,
  type Outcome,
} from '@nsm/connection';
import { NetworkServiceEndpoint } from '@nsm/proto';
import {
  createRegistryCache,
  discoveryOf,
  keepRegistered,
  registryClient,
  type KeepOptions,
} from '@nsm/registry';
import type { Service, Transport } from '@nsm/rpc';
import type { Trace } from '@nsm/chain';
import { forwarderChain, type ForwarderDeps } from './chain.ts';

export interface ForwarderOptions extends Omit<
  ForwarderDeps,
  'connections' | 'dialer' | 'discovery' | 'peers'
> {
  readonly transport: Transport;
  /** The manager of this node: its registry is ours. */
  readonly managerUrl: string;
  readonly forwarderService: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly onUndoFailure: OnUndoFailure;
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly onRegistration?: KeepOptions['onAttempt'];
  readonly trace?: Trace;
}

/** A forwarder, ready to be served. */
export interface Forwarder {
  readonly services: readonly Service[];
  /** Registers at the manager under the URL it is served on; resolves once that is done, and goes on keeping it. */
  register(url: string): Promise<void>;
  /** Takes no new wires: unregisters. Wires stay as they are, for the next process to adopt. */
  stop(): Promise<void>;
}

export function createForwarder(options: ForwarderOptions): Forwarder {
  const {
    name,
    transport,
    managerUrl,
    clock,
    random,
    tokens,
    forwarderService,
    labels,
    onRegistration,
  } = options;
  const connections = createConnections(options.onUndoFailure);
  const registry = registryClient(transport, managerUrl, { tokens, clock, random });
  // Every request looks up a service and its endpoints: known here, they cost no call.
  const cache = createRegistryCache(registry, clock);
  const peers = createPeers({ name, dialer: transport, connections, clock });
  const chain = forwarderChain({
    ...options,
    connections,
    peers,
    dialer: transport,
    discovery: discoveryOf(cache),
  });
  let keeper: ReturnType<typeof keepRegistered> | undefined;
  return {
    services: serveConnections({ ...options, chain, connections, now: () => clock.now() }),
    register: async (url) => {
      const endpoint = NetworkServiceEndpoint.fromPartial({
        name,
        url,
        networkServiceNames: [forwarderService],
        networkServiceLabels: { [forwarderService]: { labels } },
      });
      keeper = keepRegistered(registry.endpoints, endpoint, {
        clock,
        random,
        onAttempt: onRegistration,
      });
      await keeper.ready;
    },
    stop: async () => {
      await keeper?.stop({ unregister: true });
      peers.close();
      await connections.idle();
      await cache.close();
    },
  };
}
