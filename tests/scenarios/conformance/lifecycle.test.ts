import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectionEventType, State, type Connection } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { startHop, type Hop } from './hop.ts';
import {
  endpointOf,
  expiryOf,
  managerWithHop,
  registryAs,
  REGISTRY,
  serviceOf,
  startForwarder,
  startNsc,
  startNse,
  startRegistry,
} from './parts.ts';
import {
  callerOf,
  createStage,
  kernel,
  LIFETIME,
  MINUTE,
  only,
  refusal,
  type Caller,
  type Stage,
} from './stage.ts';

let stage: Stage;
beforeEach(() => void (stage = createStage()));
afterEach(() => stage.end());

/** A promise and what settles it. */
const gate = () => Promise.withResolvers<undefined>();
const refuse = async (): Promise<Connection> => {
  throw new NsmError('exhausted', 'no');
};

describe('a manager', () => {
  let hop: Hop;
  let a: Caller;
  beforeEach(async () => {
    const parts = await managerWithHop(stage);
    ({ hop } = parts);
    a = callerOf(stage, parts.manager.url);
  });
  const ops = () => hop.calls.map(({ op }) => op);

  test('23: a queued request whose caller has gone is not run (ours)', async () => {
    const held = gate();
    hop.answers(async (...call) => {
      await held.promise;
      return hop.well(...call);
    });
    const first = a.request();
    await hop.until((calls) => calls.length === 1);
    const leaving = new AbortController();
    const queued = refusal(a.request({}, { signal: leaving.signal }));
    const last = a.request({ labels: { turn: 'last' } });
    leaving.abort();
    expect((await queued).code).toBe('cancelled');
    held.resolve(undefined);
    await Promise.all([first, last]);
    expect(hop.requests().map(({ labels }) => labels)).toEqual([{}, { turn: 'last' }]);
  });

  test('24: two requests of one id run one after the other, those of two ids at once', async () => {
    let [running, most] = [0, 0];
    const held = gate();
    hop.answers(async (...call) => {
      most = Math.max(most, ++running);
      await held.promise;
      running -= 1;
      return hop.well(...call);
    });
    // Both have the id of the manager's segment: that is what it knows a connection by.
    const path = {
      index: 0,
      pathSegments: [
        { name: 'A', id: 'A-1' },
        { name: 'mgr', id: 'one' },
      ],
    };
    const same = [a.request({ path }), a.request({ path })];
    const other = a.request({ id: 'A-2' });
    await hop.until((calls) => calls.length === 2);
    expect(most).toBe(2);
    most = 0;
    held.resolve(undefined);
    await Promise.all([...same, other]);
    expect(most).toBe(1);
    expect(hop.requests()).toHaveLength(3);
  });

  test('25: a close of an unknown id succeeds, and nothing is called below', async () => {
    const path = { index: 0, pathSegments: [{ name: 'A', id: 'A-1' }] };
    await a.close({ id: 'A-1', networkService: 'svc', path });
    // An id is all that a close needs.
    await a.close({ id: 'A-1', path });
    await a.close({ id: 'A-1' });
    expect(hop.calls).toEqual([]);
  });

  test('26: a close with another mechanism closes what is stored', async () => {
    const answer = await a.request();
    await a.close({ ...answer, mechanism: { cls: 'REMOTE', type: 'VXLAN', parameters: {} } });
    expect(hop.closes().map(({ mechanism }) => mechanism)).toEqual([answer.mechanism]);
  });

  test('27: a failed refresh leaves the connection as it was, and its timeout still fires', async () => {
    const answer = await a.request();
    const watcher = a.watch();
    expect(only(await watcher.next()).path!.pathSegments[0]!.id).toBe('A-1');
    await stage.clock.advance(5 * MINUTE);
    hop.answers(refuse);
    expect((await refusal(a.request(answer))).message).toContain('all forwarders have failed');
    expect(hop.closes()).toEqual([]);
    await stage.clock.advance(expiryOf(answer, 0) - stage.clock.now() - 1);
    expect(hop.closes()).toEqual([]);
    await stage.clock.advance(2);
    await hop.until(() => hop.closes().length === 1);
    expect((await watcher.next()).type).toBe(ConnectionEventType.DELETE);
    await watcher.stop();
  });

  test('28: after a first request that failed below there is neither close nor timeout', async () => {
    hop.answers(refuse);
    await refusal(a.request());
    await stage.clock.advance(2 * LIFETIME);
    expect(ops()).toEqual(['request']);
  });

  test('29: a reselection closes below with the stored connection before it asks', async () => {
    const answer = await a.request();
    await a.request({
      id: answer.id,
      networkService: 'svc',
      path: answer.path,
      state: State.RESELECT_REQUESTED,
    });
    expect(ops()).toEqual(['request', 'close', 'request']);
    const [closed] = hop.closes();
    expect(closed?.mechanism).toEqual(answer.mechanism);
    expect(closed?.networkServiceEndpointName).toBe('nse');
    expect(closed?.path?.index).toBe(1);
  });

  test.each([State.UP, State.DOWN, State.REFRESH_REQUESTED, State.RESELECT_REQUESTED])(
    '30: a success with state %i in the request is answered UP',
    async (state) => {
      hop.answers(async (...call) => ({ ...(await hop.well(...call)), state }));
      expect((await a.request({ state })).state).toBe(State.UP);
      expect((await a.request({ state })).state).toBe(State.UP);
    },
  );

  test('31: without a refresh it is closed below when the token of the caller ends, and watchers see DELETE', async () => {
    const watcher = a.watch();
    await watcher.next();
    const answer = await a.request();
    expect((await watcher.next()).type).toBe(ConnectionEventType.UPDATE);
    await stage.clock.advance(expiryOf(answer, 0) - stage.clock.now() - 1);
    expect(hop.closes()).toEqual([]);
    await stage.clock.advance(1);
    await hop.until(() => hop.closes().length === 1);
    const event = await watcher.next();
    expect(event.type).toBe(ConnectionEventType.DELETE);
    expect(only(event).path!.pathSegments[0]!.id).toBe('A-1');
    await watcher.stop();
  });

  test('31: it is closed as long before as the caller still had to wait, at most a quarter of the lifetime (ours)', async () => {
    const early = async (lifetime: number, wait: number): Promise<number> => {
      const start = stage.clock.now();
      const caller = callerOf(stage, stage.unix('mgr'), `L${lifetime}`, lifetime);
      const answer = await caller.request({}, { deadline: start + wait });
      const before = hop.closes().length;
      while (hop.closes().length === before) await stage.clock.advance(500);
      return expiryOf(answer, 0) - stage.clock.now();
    };
    expect(Math.abs((await early(MINUTE, 10_000)) - 10_000)).toBeLessThan(1_500);
    expect(Math.abs((await early(MINUTE, 50_000)) - MINUTE / 4)).toBeLessThan(1_500);
  });

  test('31: a request whose caller has no expiry is refused, and nothing is asked below (ours)', async () => {
    const { message } = await refusal(a.request({}, { headers: {} }));
    expect(message).toContain('expiration for the previous path segment cannot be nil');
    expect(hop.calls).toEqual([]);
  });

  test('32: after a refresh nothing is closed at the old expiry', async () => {
    const answer = await a.request();
    await stage.clock.advance(5 * MINUTE);
    const refreshed = await a.request(answer);
    await stage.clock.advance(expiryOf(refreshed, 0) - stage.clock.now() - 1);
    expect(hop.closes()).toEqual([]);
    await stage.clock.advance(1);
    await hop.until(() => hop.closes().length === 1);
  });

  test('35: it never refreshes by itself', async () => {
    await a.request();
    await stage.clock.advance(LIFETIME - 2_000);
    expect(ops()).toEqual(['request']);
  });
});

describe('a forwarder', () => {
  test('28: a first request that failed below leaves no tunnel number and no interface', async () => {
    const registry = await startRegistry(stage);
    const hop = await startHop(stage, 'nse');
    await registry.services.register(serviceOf('svc'));
    await registry.endpoints.register(endpointOf('nse', hop.url, 'svc'));
    const forwarder = await startForwarder(stage);
    const a = callerOf(stage, forwarder.url);
    const preferences = [{ cls: 'REMOTE', type: 'VXLAN', parameters: { src_ip: '10.0.0.1' } }];
    let held: number[] = [];
    hop.answers(async () => {
      held = [...forwarder.vnis];
      return refuse();
    });
    await refusal(a.request({}, { preferences }));
    expect(held).toHaveLength(1);
    expect(forwarder.vnis).toEqual([]);
    expect(forwarder.datapath.show()).toEqual([]);
    await stage.clock.advance(2 * LIFETIME);
    expect(hop.closes()).toEqual([]);
  });

  test('35: it never refreshes by itself', async () => {
    const registry = await startRegistry(stage);
    const hop = await startHop(stage, 'nse');
    await registry.services.register(serviceOf('svc'));
    await registry.endpoints.register(endpointOf('nse', hop.url, 'svc'));
    const forwarder = await startForwarder(stage);
    await callerOf(stage, forwarder.url).request();
    await stage.clock.advance(LIFETIME - 2_000);
    expect(hop.calls).toHaveLength(1);
  });
});

describe('a client', () => {
  test('33: with tokens of ten minutes and a path of four segments it refreshes after about two minutes', async () => {
    const hop = await startHop(stage, 'mgr', undefined, ['fwd', 'nse']);
    await startNsc(stage, hop.url);
    await hop.until(() => hop.requests().length === 1);
    await stage.clock.advance(2 * MINUTE - 2_000);
    expect(hop.requests()).toHaveLength(1);
    await stage.clock.advance(3_000);
    expect(hop.requests()).toHaveLength(2);
    const [first, refresh] = hop.requests();
    expect(first?.path?.pathSegments).toHaveLength(1);
    // The whole path of the last answer, with the index of the client.
    expect(refresh?.path).toMatchObject({ index: 0 });
    expect(refresh?.path?.pathSegments.map(({ name }) => name)).toEqual([
      'nsc',
      'mgr',
      'fwd',
      'nse',
    ]);
    await stage.clock.advance(2 * MINUTE);
    expect(hop.requests()).toHaveLength(3);
  });

  test('34: a refresh that fails is tried again after 200 ms, then after twice as long each time (ours)', async () => {
    const hop = await startHop(stage, 'mgr', undefined, ['fwd', 'nse']);
    await startNsc(stage, hop.url);
    await hop.until(() => hop.requests().length === 1);
    const at: number[] = [];
    hop.answers(async () => {
      at.push(stage.clock.now());
      return refuse();
    });
    await stage.clock.advance(3 * MINUTE);
    const gaps = at.slice(1).map((time, i) => time - at[i]!);
    expect(gaps.slice(0, 6)).toEqual([200, 400, 800, 1_600, 3_200, 5_000]);
    expect(Math.max(...gaps)).toBe(5_000);
    // The wire is not given up meanwhile, and comes back by a plain refresh.
    hop.answers(undefined);
    await stage.clock.advance(5_000);
    expect(hop.closes()).toEqual([]);
    expect(hop.requests().at(-1)?.path?.pathSegments).toHaveLength(4);
  });
});

test('28: after a first request that failed its addresses are free again', async () => {
  const url = await startNse(stage, { groups: [['172.16.1.0/31']] });
  const a = callerOf(stage, url);
  // Addresses are given before mechanisms are agreed.
  await refusal(a.request({}, { preferences: [{ cls: 'LOCAL', type: 'NONE', parameters: {} }] }));
  const answer = await callerOf(stage, url, 'B').request({}, { preferences: [kernel()] });
  expect(answer.context!.ipContext!.dstIpAddrs).toEqual(['172.16.1.0/32']);
});

test('25: a close of an unknown entry of a registry succeeds too', async () => {
  await startRegistry(stage);
  const registry = registryAs(stage, 'x', REGISTRY);
  await registry.services.unregister(serviceOf('nobody'));
});
