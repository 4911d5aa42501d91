import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock as clock } from '@nsm/chain';
import { createVnis, type Connections } from '@nsm/connection';
import { createFakeDatapath, type FakeDatapath } from '@nsm/datapath/fake';
import { svidTokens, tokenHeaders, type Token, type TokenSource } from '@nsm/identity';
import { createAuthority, type Authority } from '@nsm/identity/authority';
import { heldIdentity } from '@nsm/identity/testing';
import { createPrefixPool, parsePrefix } from '@nsm/ip';
import { createPolicies, type PolicySet } from '@nsm/policy';
import {
  NetworkServiceDefinition,
  NetworkServiceRequest,
  type Connection,
  type NetworkService,
  type NetworkServiceEndpoint,
} from '@nsm/proto';
import {
  createMemoryStore,
  endpointKind,
  registryClient,
  serviceKind,
  type RegistryClient,
  type Store,
} from '@nsm/registry';
import {
  createGrpcTransport,
  type HeadersFor,
  type Identity,
  type IdentitySource,
  type Service,
  type Transport,
} from '@nsm/rpc';
import { createForwarder } from '@nsm/service-forwarder';
import { createNse } from '@nsm/service-nse';
import { createNsmgr } from '@nsm/service-nsmgr';
import { createRegistry } from '@nsm/service-registry';

const MINUTE = 60_000;
const LIFETIME = 10 * MINUTE;
export const ADMIN = 'spiffe://nsm.test/admin';

/** Somebody with an identity, who can call and be called. */
export interface Party {
  readonly id: string;
  readonly source: IdentitySource & { set(identity: Identity): void };
  readonly transport: Transport;
  readonly tokens: TokenSource;
  /** As the registry at `url` hears it. */
  registryAt(url: string): RegistryClient;
  /** Asks the hop at `url` for a wire; `token` in place of its own, `path` in place of a new one. */
  ask(url: string, options?: AskOptions): Promise<Connection>;
  close(url: string, connection: Connection, token?: Token): Promise<void>;
}

interface AskOptions {
  readonly name?: string;
  readonly token?: Token | 'none';
  readonly path?: Connection['path'];
  readonly id?: string;
  readonly interface?: string;
}

/** Real services with identities within one process, over real sockets and a kernel in memory. */
export interface Secure {
  readonly authority: Authority;
  party(name: string, of?: Authority): Party;
  /** Its own processes. */
  readonly parties: readonly Party[];
  readonly urls: Readonly<
    Record<'registry' | 'manager' | 'manager2' | 'forwarder' | 'endpoint', string>
  >;
  readonly services: Store<NetworkService>;
  readonly endpoints: Store<NetworkServiceEndpoint>;
  readonly connections: Connections;
  readonly datapath: FakeDatapath;
  /** The registry with what its stores hold, as a new process. */
  restartRegistry(): Promise<void>;
  /** Everything that a refused call may not change. */
  state(): string;
  stop(): Promise<void>;
}

export async function startSecure(set: PolicySet = 'strict'): Promise<Secure> {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const stops: (() => unknown)[] = [() => rmSync(folder, { recursive: true })];
  const authority = createAuthority('nsm.test', 60 * MINUTE, clock);
  const bundles = new Map([[authority.trustDomain, [authority.certificate]]]);
  const policies = createPolicies({ admins: [ADMIN], set, bundles: () => bundles });
  const common = {
    clock,
    random: Math.random,
    newId: randomUUID,
    onUndoFailure: () => undefined,
    policies,
  };
  const party = (name: string, of = authority): Party => {
    const id = `spiffe://${of.trustDomain}/${name}`;
    const source = heldIdentity(of.issue(id, 60 * MINUTE), clock);
    const transport = createGrpcTransport(source);
    stops.push(() => transport.close());
    const tokens = svidTokens(source, LIFETIME, clock, { certificates: set === 'closed' });
    const headers =
      (token: AskOptions['token']): HeadersFor =>
      async (server) =>
        token === 'none' ? {} : tokenHeaders(token ?? (await tokens.issue(server)));
    return {
      id,
      source,
      transport,
      tokens,
      registryAt: (url) => registryClient(transport, url, { ...common, tokens }),
      ask: (url, { name: hop = name, id: connection = `${hop}-0`, token, path, ...wanted } = {}) =>
        transport
          .client(NetworkServiceDefinition, url)
          .request(requestOf(connection, path ?? originPath(hop, connection), wanted.interface), {
            deadline: clock.now() + 10_000,
            headers: headers(token),
          }),
      close: async (url, connection, token) => {
        await transport
          .client(NetworkServiceDefinition, url)
          .close(connection, { headers: headers(token) });
      },
    };
  };
  const unix = (name: string): string => `unix://${folder}/${name}.sock`;
  const serve = async (of: Party, url: string, services: readonly Service[]) => {
    const listener = await of.transport.serve(url, of.id.split('/').at(-1) ?? '', services);
    stops.push(() => listener.close(0));
    return listener;
  };

  const services = createMemoryStore(serviceKind);
  const endpoints = createMemoryStore(endpointKind);
  const registry = party('registry');
  let stopRegistry = async (): Promise<void> => undefined;
  const restartRegistry = async (): Promise<void> => {
    await stopRegistry();
    const stopping = new AbortController();
    const { tokens } = registry;
    const served = await createRegistry({
      ...common,
      tokens,
      services,
      endpoints,
      expirePeriodMs: MINUTE,
      stopping: stopping.signal,
    });
    const listener = await registry.transport.serve(unix('registry'), 'registry', served);
    stopRegistry = async () => {
      stopping.abort();
      await listener.close(0);
    };
  };
  await restartRegistry();

  const startManager = async (name: string, { tokens, transport }: Party) => {
    const manager = createNsmgr({
      ...common,
      name,
      tokens,
      transport,
      registryUrl: unix('registry'),
      forwarderService: 'forwarder',
      ownUrl: `tcp://${name}:5001`,
      labels: {},
      excluded: () => [],
      netnsProof: 'lookup',
      expirePeriodMs: MINUTE,
    });
    const listener = await transport.serve(unix(name), name, manager.services);
    stops.push(
      () => listener.close(0),
      () => manager.stop(),
    );
    return manager;
  };
  const [first, second] = [party('manager'), party('manager2')];
  const { connections } = await startManager('manager', first);
  await startManager('manager2', second);

  const [passing, serving] = [party('forwarder'), party('endpoint')];
  const datapath = createFakeDatapath();
  const forwarder = createForwarder({
    ...common,
    ...passing,
    name: 'forwarder',
    owner: 'forwarder',
    tokenLifetimeMs: LIFETIME,
    onAdoption: () => undefined,
    datapath,
    tunnel: {
      addresses: [{ ip: '10.0.0.1', underlayMtu: 1_500 }],
      port: 4_789,
      vnis: createVnis(Math.random),
    },
    wireguard: undefined,
    netnsProof: 'lookup',
    mechanismPriority: [],
    underlayMtu: 1_500,
    managerUrl: unix('manager'),
    forwarderService: 'forwarder',
    labels: { p2p: 'true' },
  });
  await serve(passing, unix('forwarder'), forwarder.services);
  stops.push(() => forwarder.stop());
  await forwarder.register(unix('forwarder'));

  const nse = createNse({
    ...common,
    ...serving,
    name: 'endpoint',
    pools: [createPrefixPool([parsePrefix('172.16.1.0/24')])],
    polite: true,
    netns: 'inode://1/2',
    managerUrl: unix('manager'),
    offers: ['svc'],
    payload: 'IP',
    labels: {},
    registerServices: true,
    unregister: true,
  });
  await serve(serving, unix('endpoint'), nse.services);
  stops.push(() => nse.stop());
  await nse.register(unix('endpoint'));

  return {
    authority,
    party,
    parties: [registry, first, second, passing, serving],
    urls: {
      registry: unix('registry'),
      manager: unix('manager'),
      manager2: unix('manager2'),
      forwarder: unix('forwarder'),
      endpoint: unix('endpoint'),
    },
    services,
    endpoints,
    connections,
    datapath,
    restartRegistry,
    state: () =>
      JSON.stringify({
        links: datapath.show(),
        connections: connections.list(),
        services: services.list(),
        // Refreshes move their expiry.
        endpoints: endpoints.list().map(({ expirationTime: _, ...entry }) => entry),
      }),
    stop: async () => {
      for (const stop of stops.splice(0).reverse()) await stop();
      await stopRegistry();
    },
  };
}

const originPath = (name: string, id: string) => ({ index: 0, pathSegments: [{ name, id }] });

type Partially = NonNullable<Parameters<typeof NetworkServiceRequest.fromPartial>[0]['connection']>;

const requestOf = (id: string, path: Partially['path'], name = 'nsm-1') =>
  NetworkServiceRequest.fromPartial({
    mechanismPreferences: [
      { cls: 'LOCAL', type: 'KERNEL', parameters: { name, inodeURL: 'inode://1/1' } },
    ],
    connection: { id, networkService: 'svc', path },
  });
