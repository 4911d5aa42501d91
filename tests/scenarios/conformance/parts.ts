import { randomUUID } from 'node:crypto';
import { createVnis, type Networks, type NetnsProof } from '@nsm/connection';
import { createFakeDatapath, type FakeDatapath } from '@nsm/datapath/fake';
import { millis } from '@nsm/identity';
import { createPrefixPool, parseAddress, parsePrefix } from '@nsm/ip';
import { type Connection, type NetworkServiceEndpoint, type PolicyRoute } from '@nsm/proto';
import { createPolicies } from '@nsm/policy';
import {
  createMemoryStore,
  endpointKind,
  keepRegistered,
  registryClient,
  serviceKind,
  type RegistryClient,
  type Store,
} from '@nsm/registry';
import { createForwarder } from '@nsm/service-forwarder';
import { createNsc } from '@nsm/service-nsc';
import { createNse } from '@nsm/service-nse';
import { createNsmgr, type Nsmgr } from '@nsm/service-nsmgr';
import { createRegistry } from '@nsm/service-registry';
import { endpointOf, serviceOf } from './entries.ts';
import { startHop, tokensOf, type Hop } from './hop.ts';
import { LIFETIME, MINUTE, type Stage } from './stage.ts';

export { endpointOf, serviceOf };

const common = {
  // Its namespaces are made up: nobody can show anything of them.
  netnsProof: 'lookup' as const,
  random: Math.random,
  newId: randomUUID,
  onUndoFailure: () => undefined,
};
export const REGISTRY = 'tcp://registry:5002';

/** A client of the registry at `url`, as `name` makes it. */
export const registryAs = (stage: Stage, name: string, url: string): RegistryClient =>
  registryClient(stage.transport, url, {
    tokens: tokensOf(stage, name),
    policies: createPolicies(),
    clock: stage.clock,
    random: () => 0,
  });

export interface TestRegistry extends RegistryClient {
  readonly url: string;
  /** The first part of an orderly stop. */
  endWatches(): void;
  stop(): Promise<void>;
}

export async function startRegistry(
  stage: Stage,
  {
    url = REGISTRY,
    endpoints = createMemoryStore(endpointKind),
  }: { readonly url?: string; readonly endpoints?: Store<NetworkServiceEndpoint> } = {},
): Promise<TestRegistry> {
  const stopping = new AbortController();
  const served = await createRegistry({
    tokens: tokensOf(stage, 'registry'),
    policies: createPolicies(),
    clock: stage.clock,
    services: createMemoryStore(serviceKind),
    endpoints,
    expirePeriodMs: MINUTE,
    stopping: stopping.signal,
  });
  const close = await stage.serve(url, 'registry', served);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await close();
  };
  stage.onEnd(stop);
  return { ...registryAs(stage, 'admin', url), url, stop, endWatches: () => stopping.abort() };
}

export interface TestManager extends RegistryClient {
  readonly url: string;
  /** What other nodes dial it by. */
  readonly publicUrl: string;
  readonly nsmgr: Nsmgr;
}

export async function startManager(
  stage: Stage,
  options: {
    readonly name?: string;
    readonly registryUrl?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly excluded?: () => readonly string[];
    readonly publicUrl?: string;
  } = {},
): Promise<TestManager> {
  const { name = 'mgr', registryUrl = REGISTRY, labels = {}, excluded = () => [] } = options;
  const { publicUrl = `tcp://${name}:5001` } = options;
  const nsmgr = createNsmgr({
    ...common,
    name,
    clock: stage.clock,
    transport: stage.transport,
    tokens: tokensOf(stage, name),
    policies: createPolicies(),
    registryUrl,
    forwarderService: 'forwarder',
    ownUrl: publicUrl,
    labels,
    excluded,
    expirePeriodMs: MINUTE,
  });
  const url = stage.unix(name);
  await stage.serve(url, name, nsmgr.services);
  await stage.serve(publicUrl, name, nsmgr.services);
  stage.onEnd(() => nsmgr.stop());
  return { ...registryAs(stage, 'nse', url), url, publicUrl, nsmgr };
}

export interface TestForwarder {
  readonly url: string;
  readonly datapath: FakeDatapath;
  /** The tunnel numbers in use, newest last. */
  readonly vnis: readonly number[];
}

/** A forwarder whose discovery is the registry at `registryUrl`; it does not register. */
export async function startForwarder(
  stage: Stage,
  {
    name = 'fwd',
    registryUrl = REGISTRY,
    tunnelIp = '10.0.0.2',
    networks,
    netnsProof = common.netnsProof,
  }: {
    readonly name?: string;
    readonly registryUrl?: string;
    readonly tunnelIp?: string;
    readonly networks?: Networks;
    readonly netnsProof?: NetnsProof;
  } = {},
): Promise<TestForwarder> {
  const datapath = createFakeDatapath();
  const used: number[] = [];
  const vnis = createVnis(common.random);
  const note = (vni: number): number => used[used.push(vni) - 1]!;
  const forwarder = createForwarder({
    ...common,
    name,
    owner: name,
    tokenLifetimeMs: 600_000,
    onAdoption: () => undefined,
    clock: stage.clock,
    transport: stage.transport,
    tokens: tokensOf(stage, name),
    policies: createPolicies(),
    datapath,
    networks,
    netnsProof,
    tunnel: {
      addresses: [{ ip: tunnelIp, underlayMtu: 1_500 }],
      port: 4_789,
      vnis: {
        ...vnis,
        take: (src, dst) => note(vnis.take(src, dst)),
        claim: (vni, id) => vnis.claim(vni, id) && note(vni) === vni,
        release: (vni) => {
          vnis.release(vni);
          used.splice(used.indexOf(vni), 1);
        },
      },
    },
    wireguard: undefined,
    mechanismPriority: [],
    underlayMtu: 1_500,
    managerUrl: registryUrl,
    forwarderService: 'forwarder',
    labels: {},
  });
  const url = stage.unix(name);
  await stage.serve(url, name, forwarder.services);
  stage.onEnd(() => forwarder.stop());
  return { url, datapath, vnis: used };
}

/** An endpoint that is not registered, unless it is to do that itself at the registry. */
export async function startNse(
  stage: Stage,
  {
    name = 'S',
    groups = [['172.16.1.0/24']],
    polite = false,
    url = stage.unix(name),
    inUse = [],
    policyRoutes = () => [],
    registers = false,
  }: {
    readonly registers?: boolean;
    /** What wires of an earlier process have. */
    readonly inUse?: readonly string[];
    readonly policyRoutes?: () => readonly PolicyRoute[];
    readonly name?: string;
    readonly groups?: readonly (readonly string[])[];
    readonly polite?: boolean;
    readonly url?: string;
  } = {},
): Promise<string> {
  const nse = createNse({
    ...common,
    name,
    clock: stage.clock,
    transport: stage.transport,
    tokens: tokensOf(stage, name),
    policies: createPolicies(),
    pools: groups.map((group) => createPrefixPool(group.map(parsePrefix))),
    inUse: { addresses: inUse.map(parseAddress), ms: LIFETIME },
    polite,
    netns: 'inode://1/2',
    policyRoutes,
    managerUrl: REGISTRY,
    offers: ['svc'],
    payload: 'IP',
    labels: {},
    registerServices: registers,
    unregister: false,
  });
  await stage.serve(url, name, nse.services);
  stage.onEnd(() => nse.stop());
  // Who stops it before it is registered need not hear.
  if (registers) nse.register(url).catch(() => undefined);
  return url;
}

/** A client with one wire, called `nsc-0`; resolves at once. */
export async function startNsc(
  stage: Stage,
  managerUrl: string,
  onAttempt: (error: string | undefined) => void = () => undefined,
  liveness?: Parameters<typeof createNsc>[0]['liveness'],
): Promise<void> {
  const nsc = await createNsc({
    ...common,
    random: () => 0.5, // in the middle of what refreshes are moved by
    name: 'nsc',
    clock: stage.clock,
    transport: stage.transport,
    tokens: tokensOf(stage, 'nsc'),
    policies: createPolicies(),
    managerUrl,
    netns: 'inode://1/1',
    requests: [{ service: 'svc', interface: undefined, labels: {} }],
    requestTimeoutMs: 15_000,
    liveness,
    onAttempt: (_id, _request, { error }) => onAttempt(error?.message),
  });
  stage.onEnd(() => nsc.stop());
}

/** When the token of a segment ends, in ms since 1970. */
export const expiryOf = (connection: Connection, at: number): number =>
  millis(connection.path!.pathSegments[at]!.expires);

/** Keeps a forwarder registered at a manager until the stage ends, whatever time passes. */
export async function keepForwarder(
  stage: Stage,
  { endpoints }: RegistryClient,
  url: string,
  {
    name = 'fwd',
    labels = { p2p: 'true' },
  }: { name?: string; labels?: Record<string, string> } = {},
): Promise<void> {
  const keeper = keepRegistered(endpoints, endpointOf(name, url, 'forwarder', labels), {
    clock: stage.clock,
    random: () => 0,
  });
  stage.onEnd(() => keeper.stop({ unregister: false }));
  await keeper.ready;
}

/** A manager with a registry above it, a service `svc`, and a hand-made forwarder. */
export async function managerWithHop(
  stage: Stage,
  options: Parameters<typeof startManager>[1] = {},
): Promise<{ registry: TestRegistry; manager: TestManager; hop: Hop }> {
  const registry = await startRegistry(stage, { url: options.registryUrl ?? REGISTRY });
  await registry.services.register(serviceOf('svc'));
  const manager = await startManager(stage, options);
  const hop = await startHop(stage, 'fwd', undefined, ['nse']);
  await keepForwarder(stage, manager, hop.url);
  return { registry, manager, hop };
}
