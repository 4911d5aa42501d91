import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { subjectOf } from '@nsm/identity';
import { createPolicies } from '@nsm/policy';
import type { NetworkServiceEndpoint } from '@nsm/proto';
import {
  NetworkServiceEndpointRegistryDefinition,
  type NetworkServiceEndpointResponse,
} from '@nsm/proto';
import { keepRegistered, registryClient } from '@nsm/registry';
import { service } from '@nsm/rpc';
import { insecureTokens } from '@nsm/identity';
import {
  endpointOf,
  registryAs,
  serviceOf,
  startManager,
  startRegistry,
  type TestManager,
  type TestRegistry,
} from './parts.ts';
import { callerOf, createStage, LIFETIME, MINUTE, refusal, type Stage } from './stage.ts';

describe.each(['memory', 'grpc'] as const)('84: through a manager over %s', (kind) => {
  let stage: Stage;
  beforeEach(() => void (stage = createStage(kind)));
  afterEach(() => stage.end());

  test('84: path_ids name registrant, manager and registry, and the header path has index 0', async () => {
    const registryUrl = stage.unix('registry');
    await startRegistry(stage, { url: registryUrl });
    const { url } = await startManager(stage, { registryUrl, publicUrl: stage.unix('public') });
    const client = stage.transport.client(NetworkServiceEndpointRegistryDefinition, url);
    const caller = callerOf(stage, url, 'me');
    const register = async (entry: NetworkServiceEndpoint, path: string) => {
      const order: string[] = [];
      let header: string | undefined;
      const answer = await client.register(entry, {
        headers: { ...(await caller.headers()), path },
        onHeaders: (get) => {
          order.push('headers');
          header = get('path');
        },
      });
      order.push('message');
      expect(order).toEqual(['headers', 'message']);
      return { answer, header: header! };
    };
    const first = await register(
      endpointOf('nse', 'unix:///nse', 'svc'),
      '{"Index":0,"PathSegments":null}',
    );
    const ids = ['me', 'mgr', 'registry'].map((name) => `spiffe://insecure/${name}`);
    expect(first.answer.pathIds).toEqual(ids);
    const parsed = JSON.parse(first.header) as { Index: number; PathSegments: { token: string }[] };
    expect(parsed.Index).toBe(0);
    expect(parsed.PathSegments.map(({ token }) => subjectOf(token))).toEqual(ids);
    // A refresh with what came back does not make it longer.
    const second = await register(first.answer, first.header);
    expect(second.answer.pathIds).toEqual(ids);
    expect((JSON.parse(second.header) as typeof parsed).PathSegments).toHaveLength(3);
  });

  test('84: who sends no path gets none, and one that cannot be read is refused', async () => {
    const registryUrl = stage.unix('registry');
    await startRegistry(stage, { url: registryUrl });
    const client = stage.transport.client(NetworkServiceEndpointRegistryDefinition, registryUrl);
    let header: string | undefined = 'unset';
    const nse = endpointOf('nse', 'unix:///nse', 'svc');
    await client.register(nse, { onHeaders: (get) => (header = get('path')) });
    expect(header).toBeUndefined();
    for (const path of [
      'none',
      '{"Index":7,"PathSegments":[{"token":"t"}]}',
      '{"Index":-1,"PathSegments":null}',
    ]) {
      const error = await refusal(client.register(nse, { headers: { path } }));
      expect([path, error.code]).toEqual([path, 'invalid-argument']);
    }
  });
});

describe('managers as registries', () => {
  let stage: Stage;
  let registry: TestRegistry;
  let [here, there]: TestManager[] = [];
  const nse = endpointOf('nse', 'unix:///run/nse.sock', 'svc');
  beforeEach(async () => {
    stage = createStage();
    registry = await startRegistry(stage);
    here = await startManager(stage, { name: 'm1', labels: { nodeName: 'n1' } });
    there = await startManager(stage, { name: 'm2' });
  });
  afterEach(() => stage.end());
  const urlAt = async (at: Pick<TestRegistry, 'endpoints'>): Promise<string[]> =>
    (await at.endpoints.find({ name: 'nse' })).map(({ url }) => url);

  test('92: the registry gets the URL of the manager, clients of the node the local one, others the first', async () => {
    const { entry } = await here!.endpoints.register(nse);
    expect(entry.url).toBe('unix:///run/nse.sock');
    expect(await urlAt(registry)).toEqual(['tcp://m1:5001']);
    expect(await urlAt(here!)).toEqual(['unix:///run/nse.sock']);
    expect(await urlAt(there!)).toEqual(['tcp://m1:5001']);
    await here!.endpoints.unregister(nse);
    expect([await urlAt(registry), await urlAt(here!), await urlAt(there!)]).toEqual([[], [], []]);
  });

  test('92: a watch through the manager shows the local URL too', async () => {
    const stream = here!.endpoints.stream({}, true, {})[Symbol.asyncIterator]();
    const first = stream.next();
    await here!.endpoints.register(nse);
    const { value } = (await first) as { value: { entry: NetworkServiceEndpoint } };
    expect(value.entry.url).toBe('unix:///run/nse.sock');
    await stream.return?.();
  });

  test('63: endpoints get the labels of the node for each service they have labels for', async () => {
    await here!.endpoints.register(endpointOf('nse', 'unix:///nse', 'svc', { app: 'x' }));
    const [found] = await registry.endpoints.find({ name: 'nse' });
    expect(found?.networkServiceLabels).toEqual({ svc: { labels: { app: 'x', nodeName: 'n1' } } });
  });

  test('93: an endpoint without a URL is refused', async () => {
    const error = await refusal(here!.endpoints.register({ ...nse, url: '' }));
    expect(error.message).toContain('cannot register NSE with passed URL');
    expect(await urlAt(registry)).toEqual([]);
  });

  test('94: an endpoint that is said to be here and is not known here is not shown', async () => {
    // As a manager finds it after a restart.
    await registry.endpoints.register({ ...nse, url: 'tcp://m1:5001' });
    expect(await urlAt(there!)).toEqual(['tcp://m1:5001']);
    expect(await urlAt(here!)).toEqual([]);
    await here!.endpoints.register(nse);
    expect(await urlAt(here!)).toEqual(['unix:///run/nse.sock']);
  });

  test('91: an endpoint the manager never saw is unregistered without a call above', async () => {
    await registry.endpoints.register({ ...nse, url: 'tcp://m9:5001' });
    await here!.endpoints.unregister(nse);
    expect(await urlAt(registry)).toEqual(['tcp://m9:5001']);
  });

  test('88: a watch through a manager stays open while the registry is away, and hears what was missed (ours)', async () => {
    await registry.endpoints.register({ ...nse, name: 'lost', url: 'tcp://m9:5001' });
    const stream = there!.endpoints.stream({}, true, {})[Symbol.asyncIterator]();
    const next = async () => ((await stream.next()) as { value: unknown }).value;
    expect(await next()).toMatchObject({ entry: { name: 'lost' }, deleted: false });
    const missed = next();
    await registry.stop();
    await stage.clock.advance(1_000);
    // It comes back empty.
    await startRegistry(stage);
    await stage.clock.advance(10_000);
    expect(await missed).toMatchObject({ entry: { name: 'lost' }, deleted: true });
    await stream.return?.();
  });

  test('95: what the registry lost is registered there again by the manager, before its owner has to (ours)', async () => {
    await here!.endpoints.register(nse);
    await here!.services.register(serviceOf('svc'));
    // Known to the manager by its watch.
    await stage.clock.advance(1_000);
    await registry.stop();
    await stage.clock.advance(1_000);
    const empty = await startRegistry(stage);
    await stage.clock.advance(10_000);
    expect(await urlAt(empty)).toEqual(['tcp://m1:5001']);
    expect((await empty.services.find({})).map(({ name }) => name)).toEqual(['svc']);
  });
});

describe('a client of a registry', () => {
  let stage: Stage;
  beforeEach(() => void (stage = createStage()));
  afterEach(() => stage.end());
  const nse = endpointOf('nse', 'unix:///nse', 'svc');

  /** A registry by hand: counts registrations, and holds watches open until told. */
  const byHand = async () => {
    const registered: NetworkServiceEndpoint[] = [];
    const watches: ((how: Error | undefined) => void)[] = [];
    await stage.serve('tcp://hand:1', 'hand', [
      service(NetworkServiceEndpointRegistryDefinition, {
        register: async (entry) => {
          registered.push(entry);
          const seconds = Math.floor((stage.clock.now() + MINUTE) / 1_000);
          return { ...entry, name: 'nse', expirationTime: { seconds, nanos: 0 } };
        },
        unregister: async () => ({}),
        find: async function* (
          { watch },
          { signal },
        ): AsyncGenerator<NetworkServiceEndpointResponse> {
          if (!watch) return;
          const { promise, resolve, reject } = Promise.withResolvers<undefined>();
          signal.addEventListener('abort', () => resolve(undefined));
          watches.push((how) => (how ? reject(how) : resolve(undefined)));
          await promise;
          yield* [];
        },
      }),
    ]);
    const client = registryClient(stage.transport, 'tcp://hand:1', {
      tokens: insecureTokens('me', LIFETIME, stage.clock),
      policies: createPolicies(),
      clock: stage.clock,
      random: () => 0,
    });
    const keeper = keepRegistered(client.endpoints, nse, { clock: stage.clock, random: () => 0 });
    stage.onEnd(() => keeper.stop());
    await keeper.ready;
    return { registered, watches };
  };

  test('95: it registers again at two thirds of the lifetime, with what it was answered and no expiration', async () => {
    const { registered } = await byHand();
    await stage.clock.advance(38_000);
    expect(registered).toHaveLength(1);
    await stage.clock.advance(2_500);
    expect(registered).toHaveLength(2);
    expect(registered[1]).toMatchObject({ name: 'nse', expirationTime: undefined });
  });

  test.each([
    ['ends', undefined],
    ['breaks', new Error('broken')],
  ])('95: it registers again at once when its watch %s', async (_how, error) => {
    const { registered, watches } = await byHand();
    await stage.clock.advance(1_000);
    expect(watches).toHaveLength(1);
    expect(registered).toHaveLength(1);
    watches[0]!(error);
    await stage.clock.advance(0);
    expect(registered).toHaveLength(2);
  });

  test('95: an endpoint of the mesh is registered again by its manager when the registry restarts empty', async () => {
    const registry = await startRegistry(stage);
    const manager = await startManager(stage);
    const keeper = keepRegistered(registryAs(stage, 'nse', manager.url).endpoints, nse, {
      clock: stage.clock,
      random: () => 0,
    });
    stage.onEnd(() => keeper.stop({ unregister: false }));
    await keeper.ready;
    for (let i = 0; i < 5; i += 1) await stage.clock.advance(MINUTE);
    expect(await registry.endpoints.find({ name: 'nse' })).toHaveLength(1);
  });
});
