import { chain, type Clock, type Trace } from '@nsm/chain';
import type { TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import {
  authorize,
  begin,
  checkEndpoint,
  checkService,
  createRegistrations,
  endpointKind,
  expire,
  findIn,
  findInterdomain,
  interdomain,
  keep,
  limitEntries,
  restoreFrom,
  serveRegistry,
  serviceKind,
  setPayload,
  setRegistrationTime,
  updatePath,
  type RegistryClient,
  type RegistryElement,
  type RegistryOutcome,
  type Store,
} from '@nsm/registry';
import type { Service } from '@nsm/rpc';

export interface RegistryDeps {
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly services: Store<NetworkService>;
  readonly endpoints: Store<NetworkServiceEndpoint>;
  /** How long an endpoint lasts without a refresh at most, in ms. */
  readonly expirePeriodMs: number;
  /** Aborted when the process stops: watches end with OK, and nothing expires any more. */
  readonly stopping: AbortSignal;
  /** Who may register and unregister what. */
  readonly policies: Policies;
  /** Segments a path may have. @default 64 */
  readonly maxPath?: number | undefined;
  /** Where `name@domain` is found and registered. @default here, as any other name */
  readonly proxy?: RegistryClient | undefined;
  /** Entries of one kind that one identity may own. @default 10,000 */
  readonly maxEntries?: number | undefined;
  readonly onOutcome?: ((outcome: RegistryOutcome) => void) | undefined;
  /** Told of each endpoint that was not refreshed; `error`: it could not be removed, and is tried again. */
  readonly onExpired?: ((name: string, error: unknown) => void) | undefined;
  readonly trace?: Trace | undefined;
}

/** The registry: both services over their stores, with what the stores already hold taken up. */
export async function createRegistry(d: RegistryDeps): Promise<Service[]> {
  const services = createRegistrations<NetworkService>({
    restore: restoreFrom(d.services, () => keptService),
  });
  const endpoints = createRegistrations<NetworkServiceEndpoint>({
    restore: restoreFrom(d.endpoints, () => keptEndpoint),
  });

  // What a registered name holds: undone by Unregister, and taken up again after a restart.
  const keptService = keep(d.services);
  const keptEndpoint: RegistryElement<NetworkServiceEndpoint> = chain(
    setRegistrationTime(d.clock), // before the store: it is part of what is kept
    expire({ ...d, registrations: endpoints, periodMs: d.expirePeriodMs }), // likewise, and its timer goes first
    keep(d.endpoints),
  );

  const serviceChain = chain(
    checkService(), // nothing below has to fear what a caller may send
    updatePath(d.tokens, d.maxPath), // policies look at the path
    authorize({ ...d, kind: serviceKind, get: (name) => d.services.get(name) }), // also asked for Unregister, hence above begin
    ...(d.proxy ? [interdomain(d.proxy.services)] : []), // what is of another domain leaves nothing here
    limitEntries(d.services, d.maxEntries), // above begin: a name that is not taken costs nothing
    begin(services), // one turn at a time per name
    setPayload(), // before the store: it is part of what is kept
    keptService,
  );
  const endpointChain = chain(
    checkEndpoint(),
    updatePath(d.tokens, d.maxPath),
    authorize({ ...d, kind: endpointKind, get: (name) => d.endpoints.get(name) }),
    ...(d.proxy ? [interdomain(d.proxy.endpoints)] : []),
    limitEntries(d.endpoints, d.maxEntries),
    begin(endpoints),
    keptEndpoint,
  );

  for (const { name } of d.services.list()) await services.restore(name);
  for (const { name } of d.endpoints.list()) await endpoints.restore(name);

  const findService = findIn(d.services);
  const findEndpoint = findIn(d.endpoints);
  return serveRegistry({
    services: {
      chain: serviceChain,
      find: d.proxy ? findInterdomain(d.proxy.services, findService) : findService,
    },
    endpoints: {
      chain: endpointChain,
      find: d.proxy ? findInterdomain(d.proxy.endpoints, findEndpoint) : findEndpoint,
    },
    now: () => d.clock.now(),
    stopping: d.stopping,
    onOutcome: d.onOutcome,
    trace: d.trace,
  });
}
