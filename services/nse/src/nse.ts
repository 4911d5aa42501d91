import { pause, type Trace } from '@nsm/chain';
import {
  askForRefresh,
  createConnections,
  serveConnections,
  type Connections,
  type OnUndoFailure,
  type Outcome,
} from '@nsm/connection';
import type { Joints } from '@nsm/datapath';
import { quarantined, reserved, type ReservedOptions } from '@nsm/ip';
import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { keepRegistered, registryClient, type Keeper, type KeepOptions } from '@nsm/registry';
import { NsmError, type Service, type Transport } from '@nsm/rpc';
import { nseChain, type NseDeps } from './chain.ts';
import { createOnward } from './onward.ts';

/** How long addresses of a connection that ended are given to nobody else, in ms. */
const QUARANTINE_MS = 60_000;
/** Between two attempts to ask a manager that cannot be reached, in ms. */
const RETRY_MS = 200;

export interface NseOptions extends Omit<NseDeps, 'connections' | 'onward'> {
  readonly transport: Transport;
  /** What wires of an earlier process have, and for how many ms they may come back for it. @default nothing */
  readonly inUse?: Omit<ReservedOptions, 'now'>;
  /** The manager of this node: its registry is ours. */
  readonly managerUrl: string;
  /** Names of the network services to offer. */
  readonly offers: readonly string[];
  readonly payload: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Go on to another endpoint of the service, as `labels` lead, and join the wires by these. @default connections end here */
  readonly joints?: Joints | undefined;
  /** Register the services too. */
  readonly registerServices: boolean;
  /** Unregister the endpoint when stopped. */
  readonly unregister: boolean;
  readonly onUndoFailure: OnUndoFailure;
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly onRegistration?: KeepOptions['onAttempt'];
  readonly trace?: Trace;
}

/** An endpoint, ready to be served. */
export interface Nse {
  readonly services: readonly Service[];
  readonly connections: Connections;
  /** Registers services and endpoint under the URL it is served on; resolves once that is done, and goes on keeping it. */
  register(url: string): Promise<void>;
  /** Asks all clients to request again: what they are given has changed. */
  askForRefresh(): void;
  stop(): Promise<void>;
}

export function createNse(options: NseOptions): Nse {
  const {
    name,
    transport,
    managerUrl,
    clock,
    random,
    tokens,
    policies,
    offers,
    payload,
    labels,
    onRegistration,
  } = options;
  const connections = createConnections(options.onUndoFailure);
  const { joints } = options;
  const onward = joints && createOnward({ ...options, joints }, connections);
  const now = (): number => clock.now();
  const { inUse = { addresses: [], ms: 0 } } = options;
  const pools = options.pools.map((pool) =>
    quarantined(reserved(pool, { ...inUse, now }), { ms: QUARANTINE_MS, now }),
  );
  const registry = registryClient(transport, managerUrl, { tokens, policies, clock, random });
  const keep = { clock, random, onAttempt: onRegistration };
  const stopping = new AbortController();
  const services: Keeper<NetworkService>[] = [];
  let endpoint: Keeper<NetworkServiceEndpoint> | undefined;
  return {
    connections,
    services: serveConnections({
      ...options,
      chain: nseChain({ ...options, connections, pools, onward }),
      connections,
      now,
    }),
    register: async (url) => {
      if (options.registerServices) await registerServices();
      const networkServiceLabels = Object.fromEntries(
        offers.map((offer) => [offer, { labels: { ...labels } }]),
      );
      const keeper = keepRegistered(
        registry.endpoints,
        NetworkServiceEndpoint.fromPartial({
          name,
          url,
          networkServiceNames: [...offers],
          networkServiceLabels,
        }),
        keep,
      );
      endpoint = keeper;
      await keeper.ready;
    },
    askForRefresh: () => askForRefresh(connections),
    stop: async () => {
      stopping.abort(new NsmError('cancelled', 'the endpoint stops'));
      // Services outlive their endpoints; others may offer them.
      await Promise.all(services.map((keeper) => keeper.stop({ unregister: false })));
      await endpoint?.stop({ unregister: options.unregister });
      await connections.idle();
      onward?.peers.close();
      joints?.close();
    },
  };

  /** A service that is there with rules or another payload is somebody else's, and left as it is (contract 6.6). */
  async function registerServices(): Promise<void> {
    for (const offer of offers) {
      const there = await found(offer);
      if (there && (there.matches.length > 0 || there.payload !== payload)) continue;
      const keeper = keepRegistered(
        registry.services,
        NetworkService.fromPartial({ name: offer, payload }),
        keep,
      );
      services.push(keeper);
      await keeper.ready;
    }
  }
  /** Asks until there is an answer: an endpoint may start before its manager. */
  async function found(offer: string): Promise<NetworkService | undefined> {
    const { signal } = stopping;
    for (;;)
      try {
        return await registry.services.findFirst({ name: offer }, { signal });
      } catch (thrown) {
        const error = NsmError.from(thrown);
        if (!error.retry || signal.aborted) throw error;
        onRegistration?.(error);
        await pause(clock, RETRY_MS, signal);
      }
  }
}
