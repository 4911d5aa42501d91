import {
  createConnections,
  createNamespaces,
  createPeers,
  createRepair,
  serveConnections,
  type Connections,
  type OnUndoFailure,
  type Outcome,
  type Repair,
} from '@nsm/connection';
import type { CountedLink, Datapath } from '@nsm/datapath';
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
import { startSweep, type Leftovers } from './sweep.ts';

export interface ForwarderOptions extends Omit<
  ForwarderDeps,
  'connections' | 'dialer' | 'discovery' | 'leftovers' | 'namespaces' | 'peers' | 'datapath'
> {
  readonly datapath: Pick<Datapath, 'ensure' | 'remove' | 'census' | 'discard' | 'watch'>;
  /** Within which every client refreshes its wires, in ms. */
  readonly tokenLifetimeMs: number;
  readonly onAdoption: (adoption: Adoption) => void;
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

/** What is done with wires that nobody asked for it. */
export type Adoption =
  | { readonly event: 'found'; readonly links: readonly CountedLink[] }
  | {
      readonly event: 'swept';
      readonly links: readonly CountedLink[];
      readonly failures: readonly unknown[];
    }
  /** Links of workloads cannot be heard: what happens to them is found by refreshes only. */
  | { readonly event: 'deaf' }
  | ({ readonly event: 'disturbed' } & Repair);

/** A forwarder, ready to be served. */
export interface Forwarder {
  /** Takes over what an earlier process has left in the kernel, and listens to what happens there. Before anything is served. */
  adopt(): Promise<void>;
  readonly services: readonly Service[];
  readonly connections: Connections;
  /** Registers at the manager under the URL it is served on; resolves once that is done, and goes on keeping it. */
  register(url: string): Promise<void>;
  /** Takes no new wires: unregisters. Wires stay as they are, for the next process to adopt. */
  stop(): Promise<void>;
}

async function adoptWires(
  { owner, clock, datapath, tunnel, tokenLifetimeMs, onAdoption }: ForwarderOptions,
  connections: Connections,
): Promise<Leftovers> {
  const onRepair = (repair: Repair): void => onAdoption({ event: 'disturbed', ...repair });
  const repair = createRepair({ connections, datapath, onRepair });
  if (!datapath.watch((disturbance) => void repair(disturbance))) onAdoption({ event: 'deaf' });
  return startSweep({
    owner,
    claimMs: tokenLifetimeMs,
    clock,
    datapath,
    connections,
    onFound: (links) => {
      // The kernel knows which tunnels there are; whoever refreshes one shall have its number again.
      for (const { id, vni } of links) if (vni !== undefined) tunnel?.vnis.reserve(vni, id);
      onAdoption({ event: 'found', links });
    },
    onSwept: (links, failures) => onAdoption({ event: 'swept', links, failures }),
    onOver: (found) => {
      for (const { id } of found) tunnel?.vnis.unreserve(id);
    },
  });
}

export function createForwarder(options: ForwarderOptions): Forwarder {
  const {
    name,
    transport,
    managerUrl,
    clock,
    random,
    tokens,
    policies,
    forwarderService,
    labels,
    onRegistration,
  } = options;
  const connections = createConnections(options.onUndoFailure);
  const registry = registryClient(transport, managerUrl, { tokens, policies, clock, random });
  // Every request looks up a service and its endpoints: known here, they cost no call.
  const cache = createRegistryCache(registry, clock);
  const peers = createPeers({ name, dialer: transport, connections, clock });
  let leftovers: Leftovers = { makeRoom: async () => undefined, stop: () => undefined };
  const chain = forwarderChain({
    ...options,
    connections,
    leftovers: () => leftovers,
    peers,
    dialer: transport,
    discovery: discoveryOf(cache),
    namespaces: createNamespaces(),
  });
  let keeper: ReturnType<typeof keepRegistered> | undefined;
  return {
    connections,
    services: serveConnections({ ...options, chain, connections, now: () => clock.now() }),
    adopt: async () => {
      leftovers = await adoptWires(options, connections);
    },
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
      leftovers.stop();
      await keeper?.stop({ unregister: true });
      peers.close();
      await connections.idle();
      await cache.close();
    },
  };
}
