import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Timestamp } from '@nsm/proto';
import { NetworkServiceEndpoint } from '@nsm/proto';
import { createMemoryStore, endpointKind } from '@nsm/registry';
import { NsmError } from '@nsm/rpc';
import { eventually } from '../../worlds/world.ts';
import { startHop, type Hop } from './hop.ts';
import {
  endpointOf,
  serviceOf,
  startForwarder,
  startRegistry,
  type TestRegistry,
} from './parts.ts';
import { callerOf, createStage, refusal, type Caller, type Stage } from './stage.ts';

type Matches = NonNullable<NonNullable<Parameters<typeof serviceOf>[1]>['matches']>;

let stage: Stage;
let registry: TestRegistry;
beforeEach(async () => {
  stage = createStage();
  registry = await startRegistry(stage);
});
afterEach(() => stage.end());

/** Hand-made endpoints of `svc`, by the labels they have. */
async function endpoints(labels: Record<string, Record<string, string>>): Promise<Hop[]> {
  const hops: Hop[] = [];
  for (const [name, own] of Object.entries(labels)) {
    const hop = await startHop(stage, name);
    await registry.endpoints.register(endpointOf(name, hop.url, 'svc', own));
    hops.push(hop);
  }
  return hops;
}

/** A caller of a forwarder that knows `svc` by these rules. */
async function forwarder(matches: Matches = []): Promise<Caller> {
  await registry.services.register(serviceOf('svc', { matches }));
  return callerOf(stage, (await startForwarder(stage)).url);
}

const refuse = async () => {
  throw new NsmError('exhausted', 'full');
};
const counts = (hops: readonly Hop[]) => hops.map((hop) => hop.requests().length);

describe('a forwarder', () => {
  test('50: an unknown service is told by name', async () => {
    const a = await forwarder();
    expect((await refusal(a.request({ networkService: 'nowhere' }))).message).toContain(
      'network service nowhere is not found',
    );
  });

  test('55: an unknown endpoint is told by name', async () => {
    const a = await forwarder();
    const error = await refusal(a.request({ networkServiceEndpointName: 'nobody' }));
    expect(error.message).toContain('network service endpoint nobody not found');
    expect(error.code).toBe('not-found');
  });

  test('55: an endpoint that is named is asked, and no other', async () => {
    const hops = await endpoints({ e1: {}, e2: {} });
    const a = await forwarder();
    await a.request({ networkServiceEndpointName: 'e2' });
    hops[1]!.answers(refuse);
    await refusal(a.request({ id: 'A-2', networkServiceEndpointName: 'e2' }));
    expect(counts(hops)).toEqual([0, 2]);
  });

  test('56: three new connections go to three equal endpoints, one each', async () => {
    const hops = await endpoints({ e1: {}, e2: {}, e3: {} });
    const a = await forwarder();
    for (const id of ['A-1', 'A-2', 'A-3']) await a.request({ id });
    expect(counts(hops)).toEqual([1, 1, 1]);
  });

  test('57: where an endpoint refuses the next one is tried within the same request', async () => {
    const hops = await endpoints({ e1: {}, e2: {} });
    const a = await forwarder();
    hops[0]!.answers(refuse);
    const answers = [await a.request({ id: 'A-1' }), await a.request({ id: 'A-2' })];
    expect(answers.map((answer) => answer.networkServiceEndpointName)).toEqual(['e2', 'e2']);
    hops[1]!.answers(refuse);
    const { message } = await refusal(a.request({ id: 'A-3' }));
    expect(message).toContain('all candidates have failed');
    expect(message).toContain('An error during select endpoint e1 --> full');
  });

  test('61: an endpoint that one of a later route makes while it refuses gets what comes next', async () => {
    const [maker] = await endpoints({ maker: { makes: 'true' } });
    const a = await forwarder([
      {
        routes: [
          { destinationSelector: { made: 'true' } },
          { destinationSelector: { makes: 'true' } },
        ],
      },
    ]);
    const made: Hop[] = [];
    maker!.answers(async () => {
      if (made.length === 0) made.push(...(await endpoints({ made: { made: 'true' } })));
      return refuse();
    });
    await refusal(a.request({ id: 'A-1' }));
    // The forwarder hears of it by its watch.
    const first = await eventually(() => a.request({ id: 'A-1' }).catch(() => undefined), Boolean);
    await a.request(first);
    await a.request({ id: 'A-2' });
    expect(counts(made)).toEqual([3]);
  });

  test('58: an expired endpoint in the answer of the registry is not selected', async () => {
    const url = 'tcp://lagging:5002';
    const store = createMemoryStore(endpointKind);
    const [late, alive] = [await startHop(stage, 'late'), await startHop(stage, 'alive')];
    const at = (ms: number): Timestamp => ({ seconds: Math.floor(ms / 1_000), nanos: 0 });
    const now = stage.clock.now();
    // It is still in the store: nobody has removed it yet.
    for (const [hop, expires] of [
      [late, now - 5_000],
      [alive, now + 50_000],
    ] as const)
      await store.put(
        NetworkServiceEndpoint.fromPartial({
          ...endpointOf(hop.name, hop.url, 'svc'),
          expirationTime: at(expires),
        }),
      );
    const lagging = await startRegistry(stage, { url, endpoints: store });
    await lagging.services.register(serviceOf('svc'));
    expect(await lagging.endpoints.find({})).toHaveLength(2);
    const a = callerOf(stage, (await startForwarder(stage, { registryUrl: url })).url);
    for (const id of ['A-1', 'A-2']) await a.request({ id });
    expect(counts([late, alive])).toEqual([0, 2]);
  });

  describe('59: with rules for app=a on tier 1, and for the rest on tier 2,', () => {
    const rules = (fallthrough: boolean): Matches => [
      {
        sourceSelector: { app: 'a' },
        routes: [{ destinationSelector: { tier: '1' } }],
        fallthrough,
      },
      { routes: [{ destinationSelector: { tier: '2' } }] },
    ];

    test('59: app=a gets tier 1 only, others tier 2', async () => {
      const hops = await endpoints({ e1: { tier: '1' }, e2: { tier: '2' } });
      const a = await forwarder(rules(false));
      for (const id of ['A-1', 'A-2']) await a.request({ id, labels: { app: 'a' } });
      expect(counts(hops)).toEqual([2, 0]);
      await a.request({ id: 'A-3', labels: { app: 'b' } });
      expect(counts(hops)).toEqual([2, 1]);
    });

    test('59: without tier 1 there is none for app=a, unless the rule falls through', async () => {
      const hops = await endpoints({ e2: { tier: '2' } });
      const a = await forwarder(rules(false));
      expect((await refusal(a.request({ labels: { app: 'a' } }))).message).toContain(
        'network service endpoint candidates not found',
      );
      await registry.services.register(serviceOf('svc', { matches: rules(true) }));
      const b = callerOf(stage, (await startForwarder(stage, { name: 'fwd2' })).url);
      await b.request({ labels: { app: 'a' } });
      expect(counts(hops)).toEqual([1]);
    });
  });

  test('60: a destination selector is a template on the labels of the client', async () => {
    const hops = await endpoints({ e1: { node: 'n1' }, e2: { node: 'n2' } });
    const a = await forwarder([{ routes: [{ destinationSelector: { node: '{{.nodeName}}' } }] }]);
    for (const id of ['A-1', 'A-2']) await a.request({ id, labels: { nodeName: 'n1' } });
    expect(counts(hops)).toEqual([2, 0]);
    await a.request({ id: 'A-3', labels: { nodeName: 'n2' } });
    expect(counts(hops)).toEqual([2, 1]);
  });

  test('61: candidates of two matching routes keep the order of the routes', async () => {
    const asked: string[] = [];
    const hops = await endpoints({ e3: { tier: '3' }, e2: { tier: '2' }, e1: { tier: '1' } });
    for (const hop of hops)
      hop.answers(async () => {
        asked.push(hop.name);
        return refuse();
      });
    const a = await forwarder([
      { routes: ['1', '2', '3'].map((tier) => ({ destinationSelector: { tier } })) },
    ]);
    await refusal(a.request());
    expect(asked).toEqual(['e1', 'e2', 'e3']);
  });
});
