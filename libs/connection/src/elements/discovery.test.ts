import { describe, expect, test } from '@jest/globals';
import { Scope } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { NetworkService, NetworkServiceEndpoint, State, type Connection } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { Call, ConnectionElement } from '../call.ts';
import type { Discovery } from '@nsm/registry';
import { callOf, passedOn } from '../testing.ts';
import { chain } from '@nsm/chain';
import { discoverForwarder } from './discover-forwarder.ts';
import { discover } from './discover.ts';
import { roundRobin } from './round-robin.ts';

const NOW = 1_700_000_000;
const clock = createFakeClock(NOW * 1_000);

const endpoint = (name: string, service: string, labels: Record<string, string> = {}, more = {}) =>
  NetworkServiceEndpoint.fromPartial({
    name,
    url: `unix:///${name}`,
    networkServiceNames: [service],
    networkServiceLabels: { [service]: { labels } },
    ...more,
  });

const registered = (
  services: Parameters<typeof NetworkService.fromPartial>[0][],
  endpoints: NetworkServiceEndpoint[],
): Discovery => ({
  services: async ({ name }) =>
    services.map((s) => NetworkService.fromPartial(s)).filter((s) => s.name === name),
  endpoints: async ({ name, networkServiceNames = [], url = '' }) =>
    endpoints.filter(
      (e) =>
        (!name || e.name === name) &&
        networkServiceNames.every((n) => e.networkServiceNames.includes(n)) &&
        e.url.includes(url),
    ),
});

const namesOf = (call: Call) => call.candidates?.map(({ name }) => name);

describe('discover', () => {
  const tiers = {
    name: 'svc',
    payload: 'IP',
    matches: [
      {
        sourceSelector: { app: 'a' },
        routes: [{ destinationSelector: { tier: '1' } }],
        fallthrough: true,
      },
      { routes: [{ destinationSelector: { tier: '2' } }] },
    ],
  };
  const two = endpoint('two', 'svc', { tier: '2' });

  test('takes the endpoints the rules of the service give, and its payload', async () => {
    const call = await passedOn(
      discover(registered([tiers], [endpoint('one', 'svc', { tier: '1' }), two]), clock),
      callOf({ networkService: 'svc', labels: { app: 'a' } }),
    );
    expect([namesOf(call), call.connection.payload]).toEqual([['one'], 'IP']);
  });

  test('falls through to the next rule where none fits', async () => {
    const call = await passedOn(
      discover(registered([tiers], [two]), clock),
      callOf({ networkService: 'svc', labels: { app: 'a' } }),
    );
    expect(namesOf(call)).toEqual(['two']);
  });

  test('fills templates from the labels of the client', async () => {
    const near = {
      name: 'svc',
      matches: [{ routes: [{ destinationSelector: { node: '{{.nodeName}}' } }] }],
    };
    const all = [endpoint('far', 'svc', { node: 'n2' }), endpoint('near', 'svc', { node: 'n1' })];
    const call = await passedOn(
      discover(registered([near], all), clock),
      callOf({ networkService: 'svc', labels: { nodeName: 'n1' } }),
    );
    expect(namesOf(call)).toEqual(['near']);
  });

  test('takes exactly the endpoint that is named', async () => {
    const call = await passedOn(
      discover(registered([], [two]), clock),
      callOf({ networkService: 'svc', networkServiceEndpointName: 'two' }),
    );
    expect(namesOf(call)).toEqual(['two']);
  });

  test.each([
    ['an unknown service', registered([], []), {}, 'not-found', 'network service svc is not found'],
    [
      'a service without endpoints',
      registered([{ name: 'svc' }], []),
      {},
      'no-candidate',
      'network service endpoint candidates not found: no endpoint offers svc',
    ],
    [
      'labels that match nothing',
      registered([{ name: 'svc', matches: [{ sourceSelector: { x: 'y' } }] }], [two]),
      {},
      'no-candidate',
      'matches the labels of the request',
    ],
    [
      'an endpoint that has expired',
      registered(
        [{ name: 'svc' }],
        [endpoint('old', 'svc', {}, { expirationTime: { seconds: NOW - 1, nanos: 0 } })],
      ),
      {},
      'no-candidate',
      'have expired',
    ],
    [
      'an unknown endpoint name',
      registered([{ name: 'svc' }], [two]),
      { networkServiceEndpointName: 'three' },
      'not-found',
      'network service endpoint three not found',
    ],
  ])('refuses %s', async (_what, discovery, connection, code, text) => {
    await expect(
      passedOn(discover(discovery, clock), callOf({ networkService: 'svc', ...connection })),
    ).rejects.toMatchObject({ code, message: expect.stringContaining(text) as unknown });
  });
});

describe('round-robin', () => {
  const three = ['a', 'b', 'c'].map((name) => endpoint(name, 'svc'));

  test('gives equal endpoints one connection each, in turn', async () => {
    const element = roundRobin(clock);
    const chosen: (string | undefined)[] = [];
    for (let i = 0; i < 4; i += 1)
      chosen.push(
        (await passedOn(element, callOf({ networkService: 'svc' }, { candidates: three }))).target
          ?.name,
      );
    expect(chosen).toEqual(['a', 'b', 'c', 'a']);
  });

  test('a connection keeps the one it has, whatever others are given', async () => {
    const element = roundRobin(clock);
    const { scope } = callOf();
    const ask = async (more = {}) =>
      (await passedOn(element, callOf({ networkService: 'svc' }, { candidates: three, ...more })))
        .target?.name;
    expect([await ask({ scope }), await ask(), await ask({ scope })]).toEqual(['a', 'b', 'a']);
  });

  test('asks the next one when one refuses, and tells all reasons when all do', async () => {
    const tried: string[] = [];
    const refusing = (...names: string[]): ConnectionElement => ({
      name: 'refusing',
      run: (call, next) => {
        tried.push(call.connection.networkServiceEndpointName);
        if (names.includes(call.target?.name ?? ''))
          throw new NsmError('exhausted', `${call.target?.name ?? ''} is full`, { hop: 'there' });
        return next(call);
      },
    });
    const ask = (...names: string[]) =>
      chain(roundRobin(clock), refusing(...names)).run(
        callOf({ networkService: 'svc' }, { candidates: three }),
        async (call) => call.connection,
      );
    expect((await ask('a')).networkServiceEndpointName).toBe('b');
    expect(tried).toEqual(['a', 'b']);
    await expect(ask('a', 'b', 'c')).rejects.toMatchObject({
      code: 'exhausted',
      hop: 'there',
      message:
        '0. An error during select endpoint a --> a is full; 1. An error during select endpoint b --> b is full; 2. An error during select endpoint c --> c is full: all candidates have failed',
    });
  });
});

test('a candidate that could not be reached comes last for a while', async () => {
  const time = createFakeClock(0);
  const element = roundRobin(time);
  const candidates = ['a', 'b'].map((name) => endpoint(name, 'svc'));
  const tried: string[] = [];
  const ask = () =>
    element.run(callOf({ networkService: 'svc' }, { candidates }), async (call) => {
      tried.push(call.target?.name ?? '');
      if (call.target?.name === 'a') throw new NsmError('unavailable', 'a is gone');
      return call.connection;
    });
  for (let i = 0; i < 3; i += 1) await ask();
  expect(tried).toEqual(['a', 'b', 'b', 'b']);
  await time.advance(10_000);
  for (let i = 0; i < 2; i += 1) await ask();
  expect(tried.slice(4)).toEqual(['b', 'a', 'b']);
});

test('an endpoint that its node could not reach comes last, and the others of that node do not', async () => {
  const element = roundRobin(createFakeClock(0));
  const url = 'tcp://n2:5001';
  const candidates = ['a', 'b'].map((name) => endpoint(name, 'svc', {}, { url }));
  const tried: string[] = [];
  const ask = () =>
    element.run(callOf({ networkService: 'svc' }, { candidates }), async (call) => {
      tried.push(call.target?.name ?? '');
      if (call.target?.name === 'a') throw new NsmError('unavailable', 'a is gone', { hop: 'n2' });
      return call.connection;
    });
  for (let i = 0; i < 3; i += 1) await ask();
  expect(tried).toEqual(['a', 'b', 'b', 'b']);
});

describe('discover-forwarder', () => {
  const ownUrl = 'tcp://me:5001';
  const forwarder = (
    name: string,
    labels: Record<string, string> = { p2p: 'true' },
    url = ownUrl,
  ) => endpoint(name, 'forwarder', labels, { url });
  const element = (
    services: Parameters<typeof registered>[0],
    endpoints: NetworkServiceEndpoint[],
  ) =>
    discoverForwarder({
      discovery: registered(services, endpoints),
      forwarderService: 'forwarder',
      ownUrl,
    });
  const ask = (
    chosen: ConnectionElement,
    connection: object = {},
    scope = new Scope(),
    refuse: string[] = [],
  ) => {
    const tried: string[] = [];
    const answer = chain(chosen).run(
      callOf(
        {
          id: 'x',
          networkService: 'svc',
          path: { index: 0, pathSegments: [{ name: 'me', id: 'x' }] },
          ...connection,
        },
        { scope },
      ),
      async (call): Promise<Connection> => {
        tried.push(call.target?.name ?? '');
        if (refuse.includes(call.target?.name ?? ''))
          throw new NsmError('mechanism-unsupported', 'cannot');
        return call.connection;
      },
    );
    return answer.then(
      () => tried,
      (err: unknown) => Promise.reject(err as Error),
    );
  };

  test('takes forwarders of this node only, and the next when one cannot', async () => {
    const all = [
      forwarder('far', { p2p: 'true' }, 'tcp://other:5001'),
      forwarder('f1'),
      forwarder('f2'),
    ];
    expect(await ask(element([{ name: 'svc' }], all), {}, new Scope(), ['f1'])).toEqual([
      'f1',
      'f2',
    ]);
  });

  test('stays with the forwarder of the connection, until it is to be selected anew', async () => {
    const scope = new Scope();
    const both = element([{ name: 'svc' }], [forwarder('f1'), forwarder('f2')]);
    expect(await ask(both, {}, scope, ['f1'])).toEqual(['f1', 'f2']);
    expect(await ask(both, {}, scope)).toEqual(['f2']);
    expect(await ask(both, { state: State.RESELECT_REQUESTED }, scope)).toEqual(['f1']);
    await expect(
      ask(element([{ name: 'svc' }], [forwarder('f2')]), {}, scope),
    ).rejects.toMatchObject({ message: 'forwarder f1 is not available' });
  });

  test('tries the forwarder of the path first', async () => {
    const path = {
      index: 0,
      pathSegments: [
        { name: 'me', id: 'x' },
        { name: 'f2', id: 'y' },
      ],
    };
    expect(
      await ask(element([{ name: 'svc' }], [forwarder('f1'), forwarder('f2')]), { path }),
    ).toEqual(['f2']);
  });

  test('takes those with the labels the service asks for, by default p2p', async () => {
    const all = [forwarder('plain'), forwarder('special', { fast: 'yes' })];
    expect(
      await ask(
        element([{ name: 'svc', matches: [{ metadata: { labels: { fast: 'yes' } } }] }], all),
      ),
    ).toEqual(['special']);
    expect(await ask(element([{ name: 'svc', matches: [{}] }], all))).toEqual(['plain']);
  });

  test.each([
    [
      'an unknown service',
      element([], [forwarder('f1')]),
      'not-found',
      'network service svc is not found',
    ],
    [
      'a node without forwarders',
      element([{ name: 'svc' }], []),
      'no-candidate',
      'no candidates found: no forwarder is registered on this node',
    ],
    [
      'labels no forwarder has',
      element(
        [{ name: 'svc', matches: [{ metadata: { labels: { fast: 'yes' } } }] }],
        [forwarder('f1')],
      ),
      'no-candidate',
      'none of the 1 forwarders',
    ],
  ])('refuses %s', async (_what, chosen, code, text) => {
    await expect(ask(chosen)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text) as unknown,
    });
  });

  test('when all fail it tells each reason', async () => {
    await expect(
      ask(element([{ name: 'svc' }], [forwarder('f1'), forwarder('f2')]), {}, new Scope(), [
        'f1',
        'f2',
      ]),
    ).rejects.toMatchObject({
      message:
        '0. An error during select forwarder f1 --> cannot; 1. An error during select forwarder f2 --> cannot: all forwarders have failed',
    });
  });
});
