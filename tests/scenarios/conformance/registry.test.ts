import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { millis } from '@nsm/identity';
import { NetworkServiceEndpointRegistryDefinition, type NetworkServiceEndpoint } from '@nsm/proto';
import type { Change } from '@nsm/registry';
import {
  endpointOf,
  registryAs,
  REGISTRY,
  serviceOf,
  startNse,
  startRegistry,
  type TestRegistry,
} from './parts.ts';
import { callerOf, createStage, MINUTE, refusal, type Stage } from './stage.ts';

let stage: Stage;
let registry: TestRegistry;
beforeEach(async () => {
  stage = createStage();
  registry = await startRegistry(stage);
});
afterEach(() => stage.end());

const nse = endpointOf('nse-1', 'tcp://n1:5001', 'svc', { app: 'x' });

/** The messages of a watch, one at a time. */
function watching(query: Partial<NetworkServiceEndpoint>) {
  const stream = registry.endpoints.stream(query, true, {})[Symbol.asyncIterator]();
  stage.onEnd(async () => {
    await stream.return?.();
  });
  return async (): Promise<Change<NetworkServiceEndpoint>> => {
    const item = await stream.next();
    if (item.done) throw new Error('the watch has ended');
    return item.value;
  };
}

const named = async (query: Partial<NetworkServiceEndpoint>): Promise<string[]> =>
  (await registry.endpoints.find(query)).map(({ name }) => name).sort();

describe('a registry', () => {
  test('81: what was registered is found by name, and the stream ends; an unknown name gives nothing', async () => {
    const { entry } = await registry.endpoints.register(nse);
    const found: Change<NetworkServiceEndpoint>[] = [];
    for await (const change of registry.endpoints.stream({ name: 'nse-1' }, false, {}))
      found.push(change);
    expect(found).toEqual([{ entry, deleted: false }]);
    expect(await registry.endpoints.find({ name: 'nse-2' })).toEqual([]);
    // By name means the whole name.
    expect(await registry.endpoints.find({ name: 'nse' })).toEqual([]);
    expect(await registry.services.find({ name: 'nothing' })).toEqual([]);
  });

  test('82: a service without a payload carries IP', async () => {
    const { entry } = await registry.services.register(serviceOf('svc', { payload: '' }));
    expect(entry.payload).toBe('IP');
    const other = await registry.services.register(serviceOf('eth', { payload: 'ETHERNET' }));
    expect(other.entry.payload).toBe('ETHERNET');
    expect((await registry.services.find({ payload: 'IP' })).map(({ name }) => name)).toEqual([
      'svc',
    ]);
  });

  test('83: a second registration of a name by the same identity takes the place of the first', async () => {
    await registry.endpoints.register(nse);
    await registry.endpoints.register(endpointOf('nse-1', 'tcp://n2:5001', 'other'));
    const [only, ...more] = await registry.endpoints.find({});
    expect(more).toEqual([]);
    expect(only).toMatchObject({ url: 'tcp://n2:5001', networkServiceNames: ['other'] });
    expect(only?.networkServiceLabels).toEqual({ other: { labels: {} } });
  });

  test('86: an endpoint without an expiration gets one, within a minute and no later than any token', async () => {
    const left = async (client: TestRegistry['endpoints']): Promise<number> => {
      const { entry } = await client.register(nse);
      return millis(entry.expirationTime) - stage.clock.now();
    };
    expect(await left(registry.endpoints)).toBe(MINUTE);
    const answer = await stage.transport
      .client(NetworkServiceEndpointRegistryDefinition, REGISTRY)
      .register(nse, { headers: await brief(20_000) });
    const remains = millis(answer.expirationTime) - stage.clock.now();
    expect(remains).toBeLessThanOrEqual(20_000);
    expect(remains).toBeGreaterThan(18_000);
  });

  test('86: a shorter time that was asked for stays, a longer one does not', async () => {
    const at = (ms: number) => ({
      seconds: Math.floor((stage.clock.now() + ms) / 1_000),
      nanos: 0,
    });
    const soon = await registry.endpoints.register({ ...nse, expirationTime: at(10_000) });
    expect(soon.entry.expirationTime).toEqual(at(10_000));
    const late = await registry.endpoints.register({ ...nse, expirationTime: at(10 * MINUTE) });
    expect(millis(late.entry.expirationTime)).toBe(stage.clock.now() + MINUTE);
  });

  test('87: without a refresh it is gone at its expiry, and watchers get it as it last was', async () => {
    const next = watching({});
    const first = next();
    // Without a deadline the whole time is its own.
    const answer = await stage.transport
      .client(NetworkServiceEndpointRegistryDefinition, REGISTRY)
      .register(nse, { headers: await brief(5 * MINUTE) });
    expect(await first).toEqual({ entry: answer, deleted: false });
    const gone = next();
    await stage.clock.advance(MINUTE - 1);
    expect(await named({})).toEqual(['nse-1']);
    await stage.clock.advance(1);
    expect(await gone).toEqual({ entry: answer, deleted: true });
    expect(await named({})).toEqual([]);
  });

  test('87: a refresh moves the expiry', async () => {
    const first = await registry.endpoints.register(nse);
    await stage.clock.advance(MINUTE / 2);
    await registry.endpoints.register({ ...first.entry, expirationTime: undefined });
    await stage.clock.advance(MINUTE / 2 + 1_000);
    expect(await named({})).toEqual(['nse-1']);
    await stage.clock.advance(MINUTE / 2);
    expect(await named({})).toEqual([]);
  });

  test('88: a watch gets the value, each refresh and the deletion, and stays open', async () => {
    const next = watching({ name: 'nse-1' });
    const [first, second] = [next(), next()];
    const { entry, path } = await registry.endpoints.register(nse);
    expect(await first).toEqual({ entry, deleted: false });
    const refreshed = await registry.endpoints.register(entry, { path });
    expect(await second).toEqual({ entry: refreshed.entry, deleted: false });
    const third = next();
    await registry.endpoints.unregister(nse);
    expect(await third).toEqual({ entry: refreshed.entry, deleted: true });
    // Others pass by unseen.
    const fourth = next();
    await registry.endpoints.register(endpointOf('nse-2', 'tcp://n2:5001', 'svc'));
    const again = await registry.endpoints.register(nse);
    expect(await fourth).toEqual({ entry: again.entry, deleted: false });
  });

  test('88: a watch begins with what is there, and ends without error when the registry stops', async () => {
    const { entry } = await registry.endpoints.register(nse);
    const stream = registry.endpoints.stream({}, true, {})[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ entry, deleted: false });
    const end = stream.next();
    registry.endWatches();
    expect(await end).toEqual({ done: true, value: undefined });
  });

  test('89: queries go by name, names, labels and a part of the URL', async () => {
    await registry.endpoints.register(nse);
    await registry.endpoints.register({
      ...endpointOf('nse-2', 'tcp://n2:5001', 'svc', { app: 'y', tier: '1' }),
      networkServiceNames: ['svc', 'more'],
    });
    const labels = (service: string, wanted: Record<string, string>) => ({
      networkServiceLabels: { [service]: { labels: wanted } },
    });
    expect(await named({})).toEqual(['nse-1', 'nse-2']);
    expect(await named({ name: 'nse-2' })).toEqual(['nse-2']);
    expect(await named({ networkServiceNames: ['svc'] })).toEqual(['nse-1', 'nse-2']);
    expect(await named({ networkServiceNames: ['more', 'svc'] })).toEqual(['nse-2']);
    expect(await named({ networkServiceNames: ['none'] })).toEqual([]);
    expect(await named({ url: '://n1' })).toEqual(['nse-1']);
    expect(await named({ url: '5001' })).toEqual(['nse-1', 'nse-2']);
    expect(await named(labels('svc', { app: 'y' }))).toEqual(['nse-2']);
    expect(await named(labels('svc', { app: 'y', tier: '2' }))).toEqual([]);
    // Literally: templates are for choosing endpoints.
    expect(await named(labels('svc', { app: '{{.app}}' }))).toEqual([]);
    expect(await named(labels('other', { app: 'y' }))).toEqual([]);
    const [found] = await registry.endpoints.find({ name: 'nse-1' });
    const expirationTime = { ...found!.expirationTime!, nanos: 1 };
    expect(await named({ name: 'nse-1', expirationTime })).toEqual(['nse-1']);
    expect(await named({ expirationTime: { seconds: 1, nanos: 0 } })).toEqual([]);
  });

  test('89: services are found by name, payload and their rules as a whole', async () => {
    const matches = [{ routes: [{ destinationSelector: { tier: '1' } }] }];
    const { entry } = await registry.services.register(serviceOf('svc', { matches }));
    await registry.services.register(serviceOf('plain'));
    const found = await registry.services.find({ matches: entry.matches });
    expect(found.map(({ name }) => name)).toEqual(['svc']);
    expect(
      await registry.services.find({ matches: [{ ...entry.matches[0]!, fallthrough: true }] }),
    ).toEqual([]);
  });

  test('90: the time of the first registration is set once, until it is unregistered', async () => {
    const first = await registry.endpoints.register(nse);
    expect(millis(first.entry.initialRegistrationTime)).toBeCloseTo(stage.clock.now(), -1);
    await stage.clock.advance(10_000);
    const later = { seconds: 99, nanos: 0 };
    const second = await registry.endpoints.register({ ...nse, initialRegistrationTime: later });
    expect(second.entry.initialRegistrationTime).toEqual(first.entry.initialRegistrationTime);
    await registry.endpoints.unregister(nse);
    const third = await registry.endpoints.register({ ...nse, initialRegistrationTime: later });
    expect(third.entry.initialRegistrationTime).toEqual(later);
  });

  test('91: an unknown endpoint is unregistered without error, and nobody hears of it', async () => {
    const next = watching({});
    const first = next();
    await registry.endpoints.unregister(nse);
    await registry.endpoints.register(endpointOf('nse-2', 'tcp://n2:5001', 'svc'));
    expect((await first).entry.name).toBe('nse-2');
  });

  test('83: names must not be empty, of endpoints nor of services (ours)', async () => {
    const endpoint = await refusal(registry.endpoints.register({ ...nse, name: '' }));
    expect(endpoint.message).toContain('NetworkServiceEndpoint.Name can not be zero valued');
    const service = await refusal(registry.services.register(serviceOf('')));
    expect(service.message).toContain('registry.NetworkService.Name must not be zero valued');
    expect([endpoint.code, service.code]).toEqual(['invalid-argument', 'invalid-argument']);
  });

  test('84: the answer names all who had a hand in it: without a manager two', async () => {
    const client = registryAs(stage, 'me', REGISTRY);
    const { entry, path } = await client.endpoints.register(nse);
    expect(entry.pathIds).toEqual(['spiffe://insecure/me', 'spiffe://insecure/registry']);
    expect(path).toMatchObject({ index: 0 });
  });
});

test('an endpoint that starts before the registry is there is registered as soon as it is', async () => {
  await registry.stop();
  await startNse(stage, { registers: true });
  await stage.clock.advance(1_000);
  registry = await startRegistry(stage);
  const next = watching({ name: 'S' });
  const first = next();
  await stage.clock.advance(1_000);
  expect((await first).entry.networkServiceNames).toEqual(['svc']);
});

/** Headers with a token of this lifetime, for calls without a deadline. */
const brief = (lifetime: number) => callerOf(stage, REGISTRY, 'brief', lifetime).headers();
