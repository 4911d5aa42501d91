import { chain, type Clock, type Trace } from '@nsm/chain';
import type { TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { NetworkServiceEndpoint } from '@nsm/proto';
import { NsmError, type PassedSockets, type Service } from '@nsm/rpc';
import { createRegistryCache, type KindCache, type RegistryCache } from './cache.ts';
import type { RegistryElement } from './call.ts';
import { ATTEMPT_MS, type RegistryClient } from './client.ts';
import type { Discovery } from './discovery.ts';
import { authorize } from './elements/authorize.ts';
import { checkEndpoint, checkService } from './elements/check-entry.ts';
import { expire, expiryOf } from './elements/expire.ts';
import { localBypass, localView, type LocalUrls } from './elements/local-bypass.ts';
import { receiveSocket } from './elements/receive-socket.ts';
import { registerAbove, type RegisterAbove } from './elements/register-above.ts';
import { updatePath } from './elements/update-path.ts';
import type { Find } from './find.ts';
import type { Entry } from './kind.ts';
import { endpointKind, serviceKind } from './kind.ts';
import { begin, createRegistrations, type Registrations } from './registrations.ts';
import { serveRegistry, type RegistryOutcome } from './serve.ts';

export interface RegistryFrontOptions {
  /** The registry above. */
  readonly client: RegistryClient;
  /** Where managers of other nodes reach this one (contract 6.7). */
  readonly publicUrl: string;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  /** How long an endpoint lasts without a refresh at most, in ms; default a minute. */
  readonly expirePeriodMs?: number;
  /** Where the sockets of endpoints are that came as descriptors. @default they are not taken */
  readonly sockets?: PassedSockets | undefined;
  /** Run on endpoints before the URL is exchanged: labels. */
  readonly endpointElements?: readonly RegistryElement<NetworkServiceEndpoint>[];
  /** Who may register and unregister what. */
  readonly policies: Policies;
  /** Segments a path may have. @default 64 */
  readonly maxPath?: number | undefined;
  readonly onOutcome?: ((outcome: RegistryOutcome) => void) | undefined;
  /** Told where an endpoint came to its end, or an entry that the registry above lost could not be brought back. */
  readonly onEvent?: ((event: FrontEvent) => void) | undefined;
  readonly trace?: Trace | undefined;
}

export interface FrontEvent {
  readonly event: 'expired' | 'registered-again';
  readonly name: string;
  readonly error: unknown;
}

/** A manager as a registry (contract 6.7). */
export interface RegistryFront {
  readonly services: readonly Service[];
  /** What clients of this node find: the same as over the wire. */
  readonly discovery: Discovery;
  /** What is known here of the registry above, kept up to date. */
  readonly cache: Pick<RegistryCache, 'services' | 'endpoints'>;
  /** Ends watches and timers. What was registered through here stays registered: a restarted manager goes on. */
  close(): Promise<void>;
}

const EXPIRE_PERIOD_MS = 60_000;

/** The registry services of a manager: what is registered here goes up with the public URL, Find is answered from a cache. */
export function serveRegistryFront(options: RegistryFrontOptions): RegistryFront {
  const { client, publicUrl, tokens, policies, clock, onEvent } = options;
  const stopping = new AbortController();
  const cache = createRegistryCache(client, clock);
  const urls: LocalUrls = new Map();

  const services = createRegistrations<Parameters<typeof cache.services.put>[0]>();
  const serviceAbove = registerAbove(client.services, cache.services, clock);
  const serviceChain = chain(
    checkService(),
    updatePath(tokens, options.maxPath),
    authorize({ policies, clock, kind: serviceKind, get: (name) => cache.services.get(name) }),
    begin(services, serviceAbove.leaving),
    serviceAbove.element,
  );

  const endpoints = createRegistrations<NetworkServiceEndpoint>();
  const endpointAbove = registerAbove(client.endpoints, cache.endpoints, clock);
  const endpointChain = chain(
    checkEndpoint(),
    updatePath(tokens, options.maxPath),
    authorize({ policies, clock, kind: endpointKind, get: (name) => cache.endpoints.get(name) }),
    begin(endpoints, endpointAbove.leaving),
    expire({
      registrations: endpoints,
      clock,
      periodMs: options.expirePeriodMs ?? EXPIRE_PERIOD_MS,
      stopping: stopping.signal,
      onExpired: (name, error) => onEvent?.({ event: 'expired', name, error }),
    }),
    ...(options.endpointElements ?? []),
    ...(options.sockets ? [receiveSocket(options.sockets)] : []),
    localBypass(urls, publicUrl),
    endpointAbove.element,
  );

  const report = (name: string, error: unknown): void =>
    onEvent?.({ event: 'registered-again', name, error });
  // Services do not end; an endpoint that has is not brought back.
  bringBack(cache.services, services, {
    again: serviceAbove.again,
    stopping: stopping.signal,
    report,
  });
  bringBack(cache.endpoints, endpoints, {
    again: async (scope, signal) => {
      if ((expiryOf(scope) ?? 0) > clock.now()) await endpointAbove.again(scope, signal);
    },
    stopping: stopping.signal,
    report,
  });

  const discovery: Discovery = {
    services: (query, lookup) => cache.services.find(query, lookup),
    endpoints: async (query, lookup) => {
      const found = await cache.endpoints.find(query, lookup);
      return found.flatMap((entry) => localView(urls, publicUrl, { entry, deleted: false }) ?? []);
    },
  };
  return {
    services: serveRegistry({
      services: { chain: serviceChain, find: findIn(cache.services, (change) => change.entry) },
      endpoints: {
        chain: endpointChain,
        find: findIn(cache.endpoints, (change) => localView(urls, publicUrl, change)),
      },
      sockets: options.sockets,
      now: () => clock.now(),
      stopping: stopping.signal,
      onOutcome: options.onOutcome,
      trace: options.trace,
    }),
    discovery,
    cache,
    close: async () => {
      stopping.abort(new NsmError('cancelled', 'the manager stops'));
      await cache.close();
    },
  };
}

/** Find over a cache, each record as `view` has it. */
const findIn = <T extends Entry>(
  cache: KindCache<T>,
  view: (change: { entry: T; deleted: boolean }) => T | undefined,
): Find<T> =>
  async function* (query, { watch, signal, deadline }) {
    const subscription = watch ? cache.watch(query) : undefined;
    try {
      const found = subscription?.snapshot ?? (await cache.find(query, { signal, deadline }));
      for (const entry of found) {
        const seen = view({ entry, deleted: false });
        if (seen) yield { entry: seen, deleted: false };
      }
      for await (const change of subscription?.changes(signal) ?? []) {
        const seen = view(change);
        if (seen) yield { entry: seen, deleted: change.deleted };
      }
    } finally {
      subscription?.close();
    }
  };

/** What is registered here and vanishes from the registry above is registered there again, before its owner has to. */
function bringBack<T extends Entry>(
  cache: KindCache<T>,
  registrations: Registrations<T>,
  by: {
    readonly again: RegisterAbove<T>['again'];
    readonly stopping: AbortSignal;
    report(name: string, error: unknown): void;
  },
): void {
  cache.onGone((name) => {
    if (by.stopping.aborted) return;
    registrations
      .visit(name, async (scope) => {
        const signal = AbortSignal.any([by.stopping, AbortSignal.timeout(ATTEMPT_MS)]);
        await by.again(scope, signal);
        by.report(name, undefined);
      })
      .catch((err: unknown) => by.report(name, err));
  });
}
