import type { Trace } from '@nsm/chain';
import {
  askForRefresh,
  connectionNews,
  createConnections,
  createNamespaces,
  createPeers,
  serveConnections,
  type ConnectionNews,
  type Connections,
  type OnUndoFailure,
  type Outcome,
} from '@nsm/connection';
import {
  clientInfo,
  registryClient,
  serveRegistryFront,
  type FrontEvent,
  type RegistryOutcome,
} from '@nsm/registry';
import type { Service, Transport } from '@nsm/rpc';
import { nsmgrChain, type NsmgrDeps } from './chain.ts';
import { monitorServices } from './service-monitor.ts';

export interface NsmgrOptions extends Omit<
  NsmgrDeps,
  'connections' | 'dialer' | 'discovery' | 'namespaces' | 'peers'
> {
  readonly transport: Transport;
  readonly registryUrl: string;
  readonly random: () => number;
  /** How long a registration lasts without a refresh, in ms. */
  readonly expirePeriodMs: number;
  readonly onUndoFailure: OnUndoFailure;
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly onRegistryOutcome?: (outcome: RegistryOutcome) => void;
  readonly onFrontEvent?: (event: FrontEvent) => void;
  /** Told when the registry is lost, and when it is heard again. */
  readonly onRegistry?: (up: boolean) => void;
  /** Told of a connection that is closed because the rules of its service have changed. */
  readonly onMoved?: (id: string, service: string, endpoint: string) => void;
  /** Told of what becomes of the connections of this node's clients. */
  readonly onNews?: (news: ConnectionNews) => void;
  readonly trace?: Trace;
}

/** A manager, ready to be served. */
export interface Nsmgr {
  readonly services: readonly Service[];
  readonly connections: Connections;
  /** Asks all clients of this node to request again: what they may be given has changed. */
  askForRefresh(): void;
  /** Ends watches and waits for what is under way. Wires stay as they are. */
  stop(): Promise<void>;
}

export function createNsmgr(options: NsmgrOptions): Nsmgr {
  const { transport, registryUrl, clock, random, tokens, policies, ownUrl, labels, onMoved } =
    options;
  const tellNews = connectionNews(() => clock.now(), options.onNews ?? (() => undefined));
  const connections = createConnections(options.onUndoFailure, (change) => {
    tellNews(change);
    if (change.type === 'requested' && (!change.was || change.reselected))
      monitor.connection(change.connection);
  });
  const client = registryClient(transport, registryUrl, { tokens, policies, clock, random });
  const front = serveRegistryFront({
    client,
    publicUrl: ownUrl,
    tokens,
    policies,
    maxPath: options.maxPath,
    clock,
    expirePeriodMs: options.expirePeriodMs,
    sockets: transport.sockets,
    endpointElements: [clientInfo(labels)],
    onOutcome: options.onRegistryOutcome,
    onEvent: options.onFrontEvent,
  });
  const peers = createPeers({ name: options.name, dialer: transport, connections, clock });
  const chain = nsmgrChain({
    ...options,
    connections,
    peers,
    dialer: transport,
    discovery: front.discovery,
    namespaces: createNamespaces(),
  });
  const monitor = monitorServices({
    connections,
    discovery: front.discovery,
    now: () => clock.now(),
    onMoved: onMoved ?? (() => undefined),
    onFault: () => undefined,
  });
  front.cache.services.onSynced((synced) => options.onRegistry?.(synced));
  front.cache.services.onChange(({ entry, deleted }) => {
    if (!deleted) monitor.service(entry);
  });
  front.cache.endpoints.onChange((change) => monitor.endpoint(change));
  return {
    connections,
    services: [
      ...serveConnections({ ...options, chain, connections, now: () => clock.now() }),
      ...front.services,
    ],
    askForRefresh: () => askForRefresh(connections),
    stop: async () => {
      peers.close();
      await connections.idle();
      await front.close();
    },
  };
}
