import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createFakeClock, type FakeClock } from '@nsm/chain/testing';
import { insecureTokens, millis } from '@nsm/identity';
import { createPolicies } from '@nsm/policy';
import {
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointRegistryDefinition,
} from '@nsm/proto';
import {
  createMemoryStore,
  endpointKind,
  registryClient,
  serviceKind,
  type RegistryClient,
  type Store,
} from '@nsm/registry';
import { createMemoryTransport, type Transport } from '@nsm/rpc';
import { createRegistry } from './chain.ts';

const URL = 'tcp://registry:5002';
const MINUTE = 60_000;

const endpoint = (fields: Partial<NetworkServiceEndpoint>): NetworkServiceEndpoint => ({
  ...NetworkServiceEndpoint.create(),
  name: 'nse-1',
  url: 'tcp://node:5001',
  ...fields,
});

interface World {
  readonly clock: FakeClock;
  readonly transport: Transport;
  readonly client: RegistryClient;
  readonly endpoints: Store<NetworkServiceEndpoint>;
  readonly expired: string[];
  readonly stop: () => void;
}

let world: World;

const policies = createPolicies();

async function start(
  endpoints = createMemoryStore(endpointKind),
  services = createMemoryStore(serviceKind),
  proxy?: RegistryClient,
): Promise<World> {
  const clock = createFakeClock(Date.now());
  const transport = createMemoryTransport();
  const stopping = new AbortController();
  const expired: string[] = [];
  const registry = await createRegistry({
    tokens: insecureTokens('registry', 10 * MINUTE, clock),
    policies,
    clock,
    services,
    endpoints,
    proxy,
    expirePeriodMs: MINUTE,
    stopping: stopping.signal,
    onExpired: (name) => expired.push(name),
  });
  await transport.serve(URL, 'registry', registry);
  const client = registryClient(transport, URL, {
    tokens: insecureTokens('nse', 10 * MINUTE, clock),
    policies,
    clock,
    random: () => 0.5,
  });
  return { clock, transport, client, endpoints, expired, stop: () => stopping.abort() };
}

beforeEach(async () => {
  world = await start();
});
afterEach(() => {
  world.stop();
});

describe('Register', () => {
  test('of an endpoint answers what is kept, and Find ends after it', async () => {
    const { entry } = await world.client.endpoints.register(endpoint({}));
    expect(await world.client.endpoints.find({ name: 'nse-1' })).toEqual([entry]);
    expect(await world.client.endpoints.find({ name: 'nobody' })).toEqual([]);
  });

  test('of a service without a payload makes it IP', async () => {
    const { entry } = await world.client.services.register({
      ...NetworkService.create(),
      name: 'web',
    });
    expect(entry.payload).toBe('IP');
    expect(await world.client.services.findFirst({})).toEqual(entry);
  });

  test('again replaces the entry and keeps the time of its first registration', async () => {
    const first = await world.client.endpoints.register(endpoint({}));
    await world.clock.advance(10_000);
    const second = await world.client.endpoints.register(endpoint({ url: 'tcp://other:5001' }));
    expect(second.entry.initialRegistrationTime).toEqual(first.entry.initialRegistrationTime);
    expect(await world.client.endpoints.find({})).toEqual([second.entry]);
  });

  test('answers a path with the tokens and ids of both ends', async () => {
    const { entry, path } = await world.client.endpoints.register(endpoint({}));
    expect(path).toEqual({ index: 0, tokens: [expect.any(String), expect.any(String)] });
    expect(entry.pathIds).toEqual(['spiffe://insecure/nse', 'spiffe://insecure/registry']);
    const refreshed = await world.client.endpoints.register(entry, { path });
    expect(refreshed.path.tokens).toHaveLength(2);
    expect(refreshed.entry.pathIds).toEqual(entry.pathIds);
  });

  test('without path metadata succeeds, and nothing is sent back', async () => {
    let replied: string | undefined = 'unset';
    await world.transport
      .client(NetworkServiceEndpointRegistryDefinition, URL)
      .register(endpoint({}), { onHeaders: (header) => (replied = header('path')) });
    expect(replied).toBeUndefined();
  });

  test('with a malformed path is refused', async () => {
    const call = world.transport
      .client(NetworkServiceEndpointRegistryDefinition, URL)
      .register(endpoint({}), { headers: { path: '{"Index":-1}' } });
    await expect(call).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'path: malformed metadata: Index is no unsigned 32-bit number',
    });
    expect(world.endpoints.list()).toEqual([]);
  });

  test.each([
    [{ name: '' }, 'NetworkServiceEndpoint.Name can not be zero valued'],
    [{ name: 'a\0b' }, 'NetworkServiceEndpoint.name holds a NUL character'],
    [{ name: 'a'.repeat(1_013) }, 'NetworkServiceEndpoint.name is longer than 1012 bytes'],
    [{ url: 'x\0' }, 'NetworkServiceEndpoint.url holds a NUL character'],
    [
      { networkServiceNames: ['\0'] },
      'NetworkServiceEndpoint.network_service_names holds a NUL character',
    ],
    [
      {
        networkServiceLabels: {
          s: { labels: Object.fromEntries(Array.from({ length: 1_025 }, (_, i) => [`k${i}`, ''])) },
        },
      },
      'NetworkServiceEndpoint.network_service_labels["s"] has more than 1024 members',
    ],
  ])('of a faulty endpoint names the field: %#', async (fields, message) => {
    await expect(world.client.endpoints.register(endpoint(fields))).rejects.toMatchObject({
      code: 'invalid-argument',
      element: 'check-entry',
      message,
    });
  });
});

describe('an endpoint', () => {
  test('lasts a minute at most', async () => {
    const { entry } = await world.client.endpoints.register(endpoint({}));
    expect(millis(entry.expirationTime)).toBeCloseTo(world.clock.now() + MINUTE, 0);
  });

  test('that asked for less gets less', async () => {
    const seconds = Math.floor(world.clock.now() / 1_000) + 5;
    const { entry } = await world.client.endpoints.register(
      endpoint({ expirationTime: { seconds, nanos: 0 } }),
    );
    expect(entry.expirationTime).toEqual({ seconds, nanos: 0 });
  });

  test('that is not refreshed is gone, and watchers get its last value', async () => {
    const { entry } = await world.client.endpoints.register(endpoint({}));
    const changes = world.client.endpoints
      .stream({}, true, { signal: new AbortController().signal })
      [Symbol.asyncIterator]();
    expect(await changes.next()).toEqual({ done: false, value: { entry, deleted: false } });
    await world.clock.advance(MINUTE);
    expect(await changes.next()).toEqual({ done: false, value: { entry, deleted: true } });
    expect(world.expired).toEqual(['nse-1']);
    expect(await world.client.endpoints.find({})).toEqual([]);
    await changes.return?.();
  });

  test('that is refreshed stays', async () => {
    for (let i = 0; i < 4; i += 1) {
      await world.client.endpoints.register(endpoint({}));
      await world.clock.advance(40_000);
    }
    expect(await world.client.endpoints.find({})).toHaveLength(1);
  });

  test('registered by the last process ends at its stored time', async () => {
    const { entry } = await world.client.endpoints.register(endpoint({}));
    const store = createMemoryStore(endpointKind);
    await store.put(entry);
    const { clock, client, stop } = await start(store);
    await clock.advance(millis(entry.expirationTime) - clock.now() - 1_000);
    expect(await client.endpoints.find({})).toEqual([entry]);
    await clock.advance(1_001);
    expect(await client.endpoints.find({})).toEqual([]);
    stop();
  });
});

describe('a watch', () => {
  test('tells value, refresh and deletion, and stays open until the registry stops', async () => {
    const changes = world.client.endpoints
      .stream({ name: 'nse-1' }, true, { signal: new AbortController().signal })
      [Symbol.asyncIterator]();
    const first = changes.next();
    const registered = await world.client.endpoints.register(endpoint({}));
    expect((await first).value).toEqual({ entry: registered.entry, deleted: false });
    const refreshed = await world.client.endpoints.register(endpoint({}));
    expect((await changes.next()).value).toEqual({ entry: refreshed.entry, deleted: false });
    await world.client.endpoints.register(endpoint({ name: 'other' }));
    await world.client.endpoints.unregister(endpoint({}));
    expect((await changes.next()).value).toEqual({ entry: refreshed.entry, deleted: true });
    const end = changes.next();
    world.stop();
    expect((await end).done).toBe(true);
  });
});

test('a client that watches is told all of it, and leaves when its loop does', async () => {
  await world.client.endpoints.register(endpoint({}));
  const told: string[] = [];
  for await (const event of world.client.endpoints.watch({}, new AbortController().signal)) {
    told.push('entry' in event ? `${event.type} ${event.entry.name}` : event.type);
    if (event.type === 'synced') await world.client.endpoints.unregister(endpoint({}));
    if (event.type === 'deleted') break;
  }
  expect(told).toEqual(['put nse-1', 'synced', 'deleted nse-1']);
});

test('Unregister of an unknown name is OK', async () => {
  await world.client.endpoints.unregister(endpoint({}));
  await world.client.services.unregister({ ...NetworkService.create(), name: 'x' });
});

describe('names of other domains', () => {
  const far = endpoint({
    name: 'nse@far',
    networkServiceNames: ['web@far'],
    networkServiceLabels: { 'web@far': { labels: { a: 'b' } } },
  });
  const here = endpoint({ name: 'here', networkServiceNames: ['web'] });
  const service = { ...NetworkService.create(), name: 'web@far' };
  let proxy: World;
  beforeEach(async () => {
    proxy = world;
    world = await start(undefined, undefined, proxy.client);
  });
  afterEach(() => proxy.stop());

  test('are registered, found, refreshed and unregistered at the proxy, and leave nothing here', async () => {
    await world.client.services.register(service);
    const { entry, path } = await world.client.endpoints.register(far);
    expect(path).toMatchObject({ index: 0, tokens: { length: 3 } });
    expect(await proxy.client.endpoints.find({})).toEqual([entry]);
    expect(world.endpoints.list()).toEqual([]);
    await world.client.endpoints.register(entry, { path });
    expect(await world.client.endpoints.find({ networkServiceNames: ['web@far'] })).toHaveLength(1);
    expect(await world.client.endpoints.find({ name: 'nse@far' })).toHaveLength(1);
    expect(await world.client.services.find({ name: 'web@far' })).toHaveLength(1);
    await world.client.endpoints.unregister(entry, { path });
    await world.client.services.unregister(service);
    expect(await proxy.client.endpoints.find({})).toEqual([]);
    expect(await proxy.client.services.find({})).toEqual([]);
  });

  test('are watched at the proxy', async () => {
    const giveUp = new AbortController();
    const told = world.client.endpoints
      .stream({ name: 'nse@far' }, true, { signal: giveUp.signal })
      [Symbol.asyncIterator]();
    const first = told.next();
    await proxy.client.endpoints.register(far);
    expect((await first).value).toMatchObject({ entry: { name: 'nse@far' }, deleted: false });
    giveUp.abort();
  });

  test('do not concern others', async () => {
    await world.client.endpoints.register(here);
    expect(await world.client.endpoints.find({})).toHaveLength(1);
    expect(await proxy.client.endpoints.find({})).toEqual([]);
  });
});
