import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { tokenHeaders, WORKLOAD_HEADER } from '@nsm/identity';
import {
  Connection,
  HealthCheckRequest,
  HealthDefinition,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkService,
  NetworkServiceDefinition,
  NetworkServiceEndpoint,
  NetworkServiceEndpointQuery,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceQuery,
  NetworkServiceRegistryDefinition,
  NetworkServiceRequest,
  ObserveRequest,
  ObserverDefinition,
  SpiffeWorkloadAPIDefinition,
  Timestamp,
} from '@nsm/proto';
import { NsmError, type Client, type Listener, type ServiceDefinition } from '@nsm/rpc';
import { createHealth, createObserver } from '@nsm/service';
import { serveWorkloads } from '@nsm/service-identity';
import { damaged, randomFrom, spoil, texts } from '../worlds/fuzz.ts';
import { handlingOf } from '../worlds/handling.ts';
import { startSecure, type Party, type Secure } from '../worlds/secure.ts';

/** More of them: NSM_FUZZ=100000 npm test -- scenarios/fuzz */
const CALLS = Number(process.env['NSM_FUZZ'] ?? 1_000);
const SEED = Number(process.env['NSM_FUZZ_SEED'] ?? 20_260_101);
/** How long a call may take, in ms; what this process waits for a CPU meanwhile does not count. */
const HANG_MS = 1_000;
/** When nobody waits any longer, in ms. */
const GIVE_UP_MS = 20_000;
/** Statuses that say nothing, or that the server is wrong: UNKNOWN and INTERNAL. */
const DEFECTS = new Set([2, 13]);

let mesh: Secure;
let client: Party;
/** The same one, whose requests are damaged on the wire. */
let fuzzer: Party;
/** What processes serve besides, and the identity server. */
let aside: Listener;
beforeAll(async () => {
  mesh = await startSecure();
  client = mesh.party('client');
  fuzzer = mesh.party('client');
  const observer = createObserver('side', Date.now, () => true);
  observer.tell({ kind: 'started' });
  const { authority } = mesh;
  aside = await mesh
    .party('side')
    .transport.serve('tcp://127.0.0.1:0', 'side', [
      createHealth().service,
      observer.service,
      serveWorkloads(client.id, { authority, clock: systemClock, ttlMs: 60_000 }),
    ]);
});
afterAll(async () => {
  await aside.close(0);
  await mesh.stop();
});

test(`${CALLS} random calls of every kind are answered or refused in time, and leave nothing`, async () => {
  const below = randomFrom(SEED);
  const wire = await client.ask(mesh.urls.manager);
  const request = NetworkServiceRequest.fromPartial({
    mechanismPreferences: [
      { cls: 'LOCAL', type: 'KERNEL', parameters: { name: 'fuzz', inodeURL: 'inode://1/1' } },
    ],
    connection: {
      ...wire,
      context: {
        ...wire.context,
        MTU: 1_400,
        dnsContext: { configs: [{ dnsServerIps: ['10.0.0.1'], searchDomains: ['a'] }] },
        ethernetContext: { srcMac: '02:00:00:00:00:01', dstMac: '' },
      },
    },
  });
  await client.close(mesh.urls.manager, wire);
  const before = mesh.state();
  const endpoint = NetworkServiceEndpoint.fromPartial({
    name: 'fuzz',
    networkServiceNames: ['svc'],
    networkServiceLabels: { svc: { labels: { a: 'b' } } },
    url: 'unix:///fuzz',
    pathIds: [client.id],
  });
  const service = NetworkService.fromPartial({
    name: 'fuzz',
    payload: 'IP',
    matches: [
      { sourceSelector: { a: 'b' }, routes: [{ destinationSelector: { a: 'b' }, weight: 1 }] },
    ],
  });
  const selector = MonitorScopeSelector.fromPartial({ pathSegments: wire.path!.pathSegments });
  const like = <T>(codec: { fromPartial(value: never): T }, value: T): T =>
    codec.fromPartial(spoil(value, below) as never);

  const options = async () => ({
    deadline: Date.now() + GIVE_UP_MS,
    headers: async (server: Parameters<Party['tokens']['issue']>[0]) => ({
      ...tokenHeaders(await client.tokens.issue(server)),
      ...(below(2) === 0 && { [WORKLOAD_HEADER]: 'true' }),
      ...(below(4) === 0 && {
        path: texts[below(texts.length)]!.replaceAll(/[^ -~]/g, '?'),
      }),
    }),
  });
  const first = async (stream: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of stream) return;
  };
  const odd = <D extends ServiceDefinition>(definition: D, url: string): Client<D> =>
    fuzzer.transport.client(damaged(definition, below), url);
  const workload = (url: string) => odd(SpiffeWorkloadAPIDefinition, url);
  const { registry, manager, forwarder, endpoint: nse, side } = { ...mesh.urls, side: aside.url };
  const hops = [manager, forwarder, nse];
  const registries = [registry, manager];
  const sides = [side];
  /** With the servers that take it. What makes something also takes it down, unspoilt. */
  const calls: readonly (readonly [readonly string[], (url: string) => Promise<unknown>])[] = [
    [
      hops,
      async (url) => {
        const asked = like(NetworkServiceRequest, request);
        const answer = await odd(NetworkServiceDefinition, url).request(asked, await options());
        await client.transport.client(NetworkServiceDefinition, url).close(answer, await options());
      },
    ],
    [
      hops,
      async (url) => {
        const closed = like(Connection, request.connection!);
        return odd(NetworkServiceDefinition, url).close(closed, await options());
      },
    ],
    [
      hops,
      async (url) => {
        const asked = like(MonitorScopeSelector, selector);
        const hop = odd(MonitorConnectionDefinition, url);
        return first(hop.monitorConnections(asked, await options()));
      },
    ],
    [
      registries,
      async (url) => {
        const at = odd(NetworkServiceEndpointRegistryDefinition, url);
        const asked = like(NetworkServiceEndpoint, endpoint);
        await at.unregister(await at.register(asked, await options()), await options());
      },
    ],
    [
      registries,
      async (url) => {
        const at = odd(NetworkServiceRegistryDefinition, url);
        const asked = like(NetworkService, service);
        await at.unregister(await at.register(asked, await options()), await options());
      },
    ],
    [
      registries,
      async (url) => {
        const networkServiceEndpoint = like(NetworkServiceEndpoint, endpoint);
        const query = NetworkServiceEndpointQuery.create({ networkServiceEndpoint });
        const at = odd(NetworkServiceEndpointRegistryDefinition, url);
        return first(at.find(query, await options()));
      },
    ],
    [
      registries,
      async (url) => {
        const query = NetworkServiceQuery.create({ networkService: like(NetworkService, service) });
        return first(odd(NetworkServiceRegistryDefinition, url).find(query, await options()));
      },
    ],
    [
      sides,
      async (url) => {
        const asked = like(HealthCheckRequest, { service: 'readiness' });
        const health = odd(HealthDefinition, url);
        await first(health.watch(asked, await options()));
        await health.check(asked, await options());
      },
    ],
    [
      sides,
      async (url) => {
        const since = like(Timestamp, { seconds: 1, nanos: 1 });
        const asked = ObserveRequest.create({ since, pastOnly: true });
        return first(odd(ObserverDefinition, url).observe(asked, await options()));
      },
    ],
    [sides, async (url) => first(workload(url).fetchX509SVID({}, await options()))],
    [sides, async (url) => first(workload(url).fetchX509Bundles({}, await options()))],
    [sides, async (url) => first(workload(url).fetchJWTBundles({}, await options()))],
    [
      sides,
      async (url) => {
        const asked = { audience: ['a'], spiffeId: texts[below(texts.length)]! };
        return workload(url).fetchJWTSVID(asked, await options());
      },
    ],
    [
      sides,
      async (url) => {
        const asked = { audience: 'a', svid: texts[below(texts.length)]! };
        return workload(url).validateJWTSVID(asked, await options());
      },
    ],
  ];
  const defects: string[] = [];
  const seen = new Map<string, number>();
  for (let n = 0; n < CALLS; n += 1) {
    const kind = below(calls.length);
    const [urls, call] = calls[kind]!;
    const url = urls[below(urls.length)]!;
    const { value: outcome, ms } = await handlingOf(() =>
      call(url).then(
        () => 'ok',
        (err: unknown) => {
          const error = NsmError.from(err);
          const { code = 0 } = (error.cause ?? {}) as { code?: number };
          if (error.code === 'internal' || DEFECTS.has(code))
            defects.push(`call ${n}, kind ${kind}: ${error.code}: ${error.message}`);
          return error.code;
        },
      ),
    );
    if (ms > HANG_MS) defects.push(`call ${n}, kind ${kind}: ${outcome} after ${ms.toFixed()} ms`);
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  expect(defects).toEqual([]);
  expect(seen.get('ok')).toBeGreaterThan(0);
  expect(seen.get('invalid-argument')).toBeGreaterThan(0);
  // Entries that were registered under other names than they were unregistered by are still somebody's.
  for (const { name } of mesh.endpoints.list())
    if (name !== 'endpoint' && name !== 'forwarder') await mesh.endpoints.delete(name);
  expect(mesh.connections.list()).toEqual([]);
  expect(JSON.parse(mesh.state())).toMatchObject({
    links: (JSON.parse(before) as { links: unknown }).links,
  });
});
