import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tokenHeaders } from '@nsm/identity';
import {
  Connection,
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
} from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { startSecure, type Party, type Secure } from '../worlds/secure.ts';

/** More of them: NSM_FUZZ=100000 npm test -- scenarios/fuzz */
const CALLS = Number(process.env['NSM_FUZZ'] ?? 300);
const SEED = Number(process.env['NSM_FUZZ_SEED'] ?? 20_260_101);
/** How long a call may take; generous, for a machine with other things to do. */
const HANG_MS = 20_000;

let mesh: Secure;
let client: Party;
beforeAll(async () => {
  mesh = await startSecure();
  client = mesh.party('client');
});
afterAll(() => mesh.stop());

/** mulberry32 */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Values that programs trip over. */
const texts = [
  '',
  'svc',
  'endpoint',
  'nsm-1',
  '../x',
  '\0',
  'é'.repeat(200),
  'x'.repeat(5_000),
  '-1',
  '__proto__',
  'constructor',
  '%s%n',
  '10.0.0.1/32',
  'fd00::1/129',
  'inode://1/1',
  'inode://4/9',
  'unix:///x',
  'tcp://:1',
  'KERNEL',
  'VXLAN',
  'WIREGUARD',
  'LOCAL',
  'REMOTE',
  'IP',
  'ETHERNET',
];
const numbers = [0, 1, 2, 7, 64, 1_000, 65_536, 2 ** 31 - 1];

/** A message like this one, in which every now and then a field is something else of its type. */
function spoil(value: unknown, below: (n: number) => number): unknown {
  const odd = below(12) === 0;
  if (typeof value === 'string') return odd ? texts[below(texts.length)] : value;
  if (typeof value === 'number') return odd ? numbers[below(numbers.length)] : value;
  if (typeof value === 'boolean') return odd ? !value : value;
  if (value instanceof Uint8Array || value === undefined || value === null) return value;
  if (Array.isArray(value)) {
    const spoilt = value.map((each) => spoil(each, below));
    if (odd && spoilt.length > 0) spoilt.splice(below(spoilt.length), below(2), spoilt[0]);
    return odd && below(4) === 0 ? [] : spoilt;
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) =>
      odd && below(6) === 0 ? [] : [[key, spoil(each, below)]],
    ),
  );
}

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
    deadline: Date.now() + HANG_MS,
    headers: async (server: Parameters<Party['tokens']['issue']>[0]) => ({
      ...tokenHeaders(await client.tokens.issue(server)),
      ...(below(4) === 0 && {
        path: texts[below(texts.length)]!.replaceAll(/[^ -~]/g, '?'),
      }),
    }),
  });
  const first = async (stream: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of stream) return;
  };
  const { transport } = client;
  const calls: readonly ((url: string) => Promise<unknown>)[] = [
    async (url) => {
      const hop = transport.client(NetworkServiceDefinition, url);
      const asked = like(NetworkServiceRequest, request);
      const answer = await hop.request(asked, await options());
      await hop.close(answer, await options());
    },
    async (url) =>
      transport
        .client(NetworkServiceDefinition, url)
        .close(like(Connection, request.connection!), await options()),
    async (url) =>
      first(
        transport
          .client(MonitorConnectionDefinition, url)
          .monitorConnections(like(MonitorScopeSelector, selector), await options()),
      ),
    async (url) => {
      const registry = transport.client(NetworkServiceEndpointRegistryDefinition, url);
      const registered = await registry.register(
        like(NetworkServiceEndpoint, endpoint),
        await options(),
      );
      await registry.unregister(registered, { ...(await options()) });
    },
    async (url) => {
      const registry = transport.client(NetworkServiceRegistryDefinition, url);
      const registered = await registry.register(like(NetworkService, service), await options());
      await registry.unregister(registered, { ...(await options()) });
    },
    async (url) =>
      first(
        transport.client(NetworkServiceEndpointRegistryDefinition, url).find(
          NetworkServiceEndpointQuery.create({
            networkServiceEndpoint: like(NetworkServiceEndpoint, endpoint),
          }),
          await options(),
        ),
      ),
    async (url) =>
      first(
        transport
          .client(NetworkServiceRegistryDefinition, url)
          .find(
            NetworkServiceQuery.create({ networkService: like(NetworkService, service) }),
            await options(),
          ),
      ),
  ];
  const { registry, manager, forwarder, endpoint: nse } = mesh.urls;
  const servers: readonly (readonly string[])[] = [
    [manager, forwarder, nse],
    [manager, forwarder, nse],
    [manager, forwarder, nse],
    ...Array.from({ length: 4 }, () => [registry, manager]),
  ];
  const defects: string[] = [];
  const seen = new Map<string, number>();
  for (let n = 0; n < CALLS; n += 1) {
    const kind = below(calls.length);
    const urls = servers[kind]!;
    const code = await calls[kind]!(urls[below(urls.length)]!).then(
      () => 'ok',
      (err: unknown) => {
        const error = NsmError.from(err);
        if (error.code === 'internal' || error.code === 'deadline')
          defects.push(`call ${n}, kind ${kind}: ${error.code}: ${error.message}`);
        return error.code;
      },
    );
    seen.set(code, (seen.get(code) ?? 0) + 1);
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
