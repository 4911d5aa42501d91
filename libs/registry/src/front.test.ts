import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chain, type Clock } from '@nsm/chain';
import { createFakeClock, type FakeClock } from '@nsm/chain/testing';
import { insecureTokens } from '@nsm/identity';
import { createPolicies } from '@nsm/policy';
import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { createMemoryTransport, type Listener, type Transport } from '@nsm/rpc';
import { registryClient, type RegistryClient } from './client.ts';
import { keep } from './elements/keep.ts';
import { updatePath } from './elements/update-path.ts';
import { findIn } from './find.ts';
import { serveRegistryFront, type RegistryFront } from './front.ts';
import { keepRegistered } from './keep-registered.ts';
import { endpointKind, serviceKind } from './kind.ts';
import { createMemoryStore } from './memory-store.ts';
import { begin, createRegistrations } from './registrations.ts';
import { serveRegistry } from './serve.ts';
import type { Store } from './store.ts';

const UPPER = 'tcp://registry:5002';
const MANAGER = 'unix:///nsmgr.sock';
const PUBLIC = 'tcp://node-1:5001';
const MINUTE = 60_000;
const never = new AbortController().signal;

const nse = (fields: Partial<NetworkServiceEndpoint> = {}): NetworkServiceEndpoint => ({
  ...NetworkServiceEndpoint.create(),
  name: 'nse-1',
  url: 'unix:///nse.sock',
  networkServiceNames: ['web'],
  ...fields,
});

/** A registry that keeps what it is given, without expiry. */
interface Upper {
  readonly endpoints: Store<NetworkServiceEndpoint>;
  readonly listener: Listener;
}

async function startUpper(transport: Transport, clock: Clock): Promise<Upper> {
  const services = createMemoryStore(serviceKind);
  const endpoints = createMemoryStore(endpointKind);
  const tokens = insecureTokens('registry', 10 * MINUTE, clock);
  const listener = await transport.serve(
    UPPER,
    'registry',
    serveRegistry({
      services: {
        chain: chain(updatePath(tokens), begin(createRegistrations()), keep(services)),
        find: findIn(services),
      },
      endpoints: {
        chain: chain(updatePath(tokens), begin(createRegistrations()), keep(endpoints)),
        find: findIn(endpoints),
      },
      now: () => clock.now(),
    }),
  );
  return { endpoints, listener };
}

const policies = createPolicies();
let clock: FakeClock;
let transport: Transport;
let upper: Upper;
let front: RegistryFront;
let frontListener: Listener;
let local: RegistryClient;
let direct: RegistryClient;

async function startFront(): Promise<void> {
  const tokens = insecureTokens('nsmgr', 10 * MINUTE, clock);
  const client = registryClient(transport, UPPER, { tokens, policies, clock, random: () => 0.5 });
  front = serveRegistryFront({ client, publicUrl: PUBLIC, tokens, policies, clock });
  frontListener = await transport.serve(MANAGER, 'nsmgr', front.services);
  await clock.advance(500); // its watches are in sync now
}

const clientOf = (name: string, url: string): RegistryClient =>
  registryClient(transport, url, {
    tokens: insecureTokens(name, 10 * MINUTE, clock),
    policies,
    clock,
    random: () => 0.5,
  });

beforeEach(async () => {
  clock = createFakeClock(Date.now());
  transport = createMemoryTransport();
  upper = await startUpper(transport, clock);
  await startFront();
  local = clientOf('nse', MANAGER);
  direct = clientOf('other', UPPER);
});

afterEach(async () => {
  await front.close();
  await upper.listener.close();
});

describe('a manager as registry', () => {
  test('sends its own URL up and shows the endpoint its own', async () => {
    const { entry, path } = await local.endpoints.register(nse());
    expect(entry.url).toBe('unix:///nse.sock');
    expect(entry.pathIds).toEqual([
      'spiffe://insecure/nse',
      'spiffe://insecure/nsmgr',
      'spiffe://insecure/registry',
    ]);
    expect(path.index).toBe(0);
    expect(path.tokens).toHaveLength(3);
    expect(upper.endpoints.get('nse-1')?.url).toBe(PUBLIC);
    expect((await local.endpoints.find({ name: 'nse-1' }))[0]?.url).toBe('unix:///nse.sock');
    expect((await direct.endpoints.find({ name: 'nse-1' }))[0]?.url).toBe(PUBLIC);
    // What a manager asks to find the forwarders of its node.
    const found = await front.discovery.endpoints({ networkServiceNames: ['web'], url: PUBLIC });
    expect(found.map(({ url }) => url)).toEqual(['unix:///nse.sock']);
  });

  test('shows what is registered through it at once, by service too', async () => {
    await direct.endpoints.register(nse({ name: 'far', url: 'tcp://node-2:5001' }));
    await local.endpoints.register(nse());
    const found = await front.discovery.endpoints({ networkServiceNames: ['web'] });
    expect(found.map(({ name }) => name).sort()).toEqual(['far', 'nse-1']);
    await local.endpoints.unregister(nse());
    expect(await front.discovery.endpoints({ name: 'nse-1' })).toEqual([]);
    expect(upper.endpoints.list()).toHaveLength(1);
  });

  test('refuses an endpoint without a URL', async () => {
    await expect(local.endpoints.register(nse({ url: '' }))).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'cannot register NSE with passed URL: ',
    });
  });

  test('refuses a service without a name', async () => {
    await expect(local.services.register(NetworkService.create())).rejects.toMatchObject({
      message: 'registry.NetworkService.Name must not be zero valued',
    });
  });

  test('hides an endpoint that says it is here and is not', async () => {
    await direct.endpoints.register(nse({ name: 'ghost', url: PUBLIC }));
    expect(await local.endpoints.find({ name: 'ghost' })).toEqual([]);
  });

  test('unregisters an endpoint that is not refreshed', async () => {
    await local.endpoints.register(nse());
    await clock.advance(MINUTE);
    expect(upper.endpoints.list()).toEqual([]);
  });

  test('leaves its endpoints registered when it stops', async () => {
    await local.endpoints.register(nse());
    await front.close();
    await clock.advance(2 * MINUTE);
    expect(upper.endpoints.list()).toHaveLength(1);
  });

  test('fails a registration that does not get through, and keeps nothing of it', async () => {
    await upper.listener.close();
    await expect(local.endpoints.register(nse())).rejects.toMatchObject({ code: 'unavailable' });
    upper = await startUpper(transport, clock);
    await clock.advance(10_000);
    expect(await local.endpoints.find({})).toEqual([]);
  });
});

describe('when the registry above restarts empty', () => {
  test('what was registered here is there again, without its owner', async () => {
    await local.endpoints.register(nse());
    await clock.advance(100);
    await upper.listener.close();
    upper = await startUpper(transport, clock);
    expect(upper.endpoints.list()).toEqual([]);
    await clock.advance(1_000);
    expect(upper.endpoints.get('nse-1')?.url).toBe(PUBLIC);
  });

  test('so is a service, which stays away once somebody has deleted it', async () => {
    const web = { ...NetworkService.create(), name: 'web' };
    await local.services.register(web);
    await clock.advance(100);
    await upper.listener.close();
    upper = await startUpper(transport, clock);
    await clock.advance(1_000);
    expect(await direct.services.find({ name: 'web' })).toHaveLength(1);
    await direct.services.unregister(web);
    await clock.advance(MINUTE);
    expect(await direct.services.find({ name: 'web' })).toEqual([]);
  });

  test('a watch through the manager stays open and is told what has gone', async () => {
    await direct.endpoints.register(nse({ name: 'far', url: 'tcp://node-2:5001' }));
    await clock.advance(100);
    const changes = local.endpoints.stream({}, true, { signal: never })[Symbol.asyncIterator]();
    expect((await changes.next()).value).toMatchObject({ entry: { name: 'far' }, deleted: false });
    await upper.listener.close();
    upper = await startUpper(transport, clock);
    const next = changes.next();
    await clock.advance(2_000);
    expect((await next).value).toMatchObject({ entry: { name: 'far' }, deleted: true });
    await changes.return?.();
  });
});

test('a registry that is away leaves what was known of it to answer', async () => {
  await direct.endpoints.register(nse({ name: 'far', url: 'tcp://node-2:5001' }));
  await clock.advance(100);
  await upper.listener.close();
  await clock.advance(100);
  expect(await front.discovery.endpoints({ networkServiceNames: ['web'] })).toHaveLength(1);
  await expect(front.discovery.endpoints({ name: 'unheard-of' })).rejects.toMatchObject({
    code: 'unavailable',
  });
});

describe('an endpoint that is kept registered', () => {
  test('is refreshed, and registers again at once with a restarted manager', async () => {
    let attempts = 0;
    const keeper = keepRegistered(local.endpoints, nse(), {
      clock,
      random: () => 0,
      onAttempt: () => (attempts += 1),
    });
    expect((await keeper.ready).url).toBe('unix:///nse.sock');
    for (let i = 0; i < 5; i += 1) await clock.advance(MINUTE / 2);
    expect(attempts).toBe(4); // every 40 s
    expect(upper.endpoints.list()).toHaveLength(1);

    await front.close();
    await frontListener.close();
    await clock.advance(1_000);
    await startFront();
    await clock.advance(1_000);
    expect(await front.discovery.endpoints({ name: 'nse-1' })).toMatchObject([
      { url: 'unix:///nse.sock' },
    ]);

    await keeper.stop();
    expect(upper.endpoints.list()).toEqual([]);
  });

  test('is registered once its registry appears', async () => {
    await frontListener.close();
    const errors: (string | undefined)[] = [];
    const keeper = keepRegistered(local.endpoints, nse(), {
      clock,
      random: () => 0,
      onAttempt: (error) => errors.push(error?.code),
    });
    await clock.advance(300);
    frontListener = await transport.serve(MANAGER, 'nsmgr', front.services);
    await clock.advance(200);
    await keeper.ready;
    expect(errors).toEqual(['unavailable', 'unavailable', undefined]);
    await keeper.stop();
  });
});
