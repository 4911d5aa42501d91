import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectionEventType as Type, State } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { type Hop } from './hop.ts';
import { managerWithHop, serviceOf, type TestManager } from './parts.ts';
import { callerOf, createStage, idsOf, only, type Caller, type Stage } from './stage.ts';

describe.each(['memory', 'grpc'] as const)('a manager over %s', (kind) => {
  let stage: Stage;
  let manager: TestManager;
  let hop: Hop;
  let a: Caller;
  beforeEach(async () => {
    stage = createStage(kind);
    const urls =
      kind === 'grpc'
        ? { publicUrl: stage.unix('public'), registryUrl: stage.unix('registry') }
        : {};
    const parts = await managerWithHop(stage, urls);
    ({ manager, hop } = parts);
    await parts.registry.services.register(serviceOf('other'));
    a = callerOf(stage, manager.url);
  });
  afterEach(() => stage.end());

  test('36: a watcher of nothing gets an empty initial state at once', async () => {
    const watcher = a.watch();
    expect(await watcher.next()).toEqual({ type: Type.INITIAL_STATE_TRANSFER, connections: {} });
    await watcher.stop();
  });

  test("37: the initial state holds a connection with the manager's own id and index", async () => {
    const answer = await a.request();
    const watcher = a.watch();
    const event = await watcher.next();
    expect(event.type).toBe(Type.INITIAL_STATE_TRANSFER);
    const own = idsOf(answer)[1]!;
    expect(Object.keys(event.connections)).toEqual([own]);
    expect(only(event)).toMatchObject({ id: own, path: { index: 1 } });
    expect(idsOf(only(event))).toEqual(idsOf(answer));
    await watcher.stop();
  });

  test('38: a selector by id takes the connections that have the id anywhere in the path', async () => {
    const [first] = [await a.request({ id: 'A-1' }), await a.request({ id: 'A-2' })];
    for (const id of idsOf(first)) {
      const watcher = a.watch({ pathSegments: [{ id }] });
      expect(idsOf(only(await watcher.next()))).toEqual(idsOf(first));
      await watcher.stop();
    }
    const none = a.watch({ pathSegments: [{ id: 'A-3' }] });
    expect((await none.next()).connections).toEqual({});
    await none.stop();
  });

  test('39: a selector of two segments matches where they are adjacent in that order', async () => {
    const answer = await a.request();
    const [client, own, forwarder] = answer.path!.pathSegments.map(({ name, id }) => ({
      name,
      id,
    }));
    const count = async (...pathSegments: ({ name: string; id?: string } | undefined)[]) => {
      const watcher = a.watch({ pathSegments: pathSegments.map((segment) => segment!) });
      const { connections } = await watcher.next();
      await watcher.stop();
      return Object.keys(connections).length;
    };
    expect(await count(client, own)).toBe(1);
    expect(await count(own, forwarder)).toBe(1);
    expect(await count({ name: 'mgr' }, { name: 'fwd' })).toBe(1);
    expect(await count(own, client)).toBe(0);
    expect(await count(client, forwarder)).toBe(0);
    expect(await count(forwarder, own)).toBe(0);
  });

  test('40: a selector by service hears nothing of other services', async () => {
    const watcher = a.watch({ networkServices: ['svc'] });
    await a.request({ id: 'A-1', networkService: 'other' });
    expect((await watcher.next()).connections).toEqual({});
    await a.request({ id: 'A-2', networkService: 'other' });
    await a.request({ id: 'A-3', networkService: 'svc' });
    expect(only(await watcher.next()).networkService).toBe('svc');
    await watcher.stop();
  });

  test('40: a selector by service and segment takes what has both', async () => {
    await a.request({ id: 'A-1', networkService: 'other' });
    const watcher = a.watch({ networkServices: ['svc'], pathSegments: [{ id: 'A-1' }] });
    expect((await watcher.next()).connections).toEqual({});
    await watcher.stop();
  });

  test('41: every successful refresh is told as UPDATE', async () => {
    const answer = await a.request();
    const watcher = a.watch();
    await watcher.next();
    for (const labels of [{ turn: '1' }, { turn: '2' }]) {
      await a.request({ ...answer, labels });
      const event = await watcher.next();
      expect([event.type, only(event).labels]).toEqual([Type.UPDATE, labels]);
    }
    await watcher.stop();
  });

  test('42: a close is told as DELETE with the connection, also where the next hop failed', async () => {
    const watcher = a.watch();
    await watcher.next();
    const answer = await a.request();
    await watcher.next();
    hop.closing(async () => {
      throw new NsmError('internal', 'cannot close');
    });
    // The caller is not told: there is nothing it could do (ours).
    await a.close(answer);
    expect(hop.closes()).toHaveLength(1);
    const event = await watcher.next();
    expect(event.type).toBe(Type.DELETE);
    expect(idsOf(only(event))).toEqual(idsOf(answer));
    const later = a.watch();
    expect((await later.next()).connections).toEqual({});
    await Promise.all([watcher.stop(), later.stop()]);
  });

  /** The state of the first event that is news after an answer. */
  const stateAfter = async (happens: () => void | Promise<void>): Promise<State> => {
    await a.request();
    const watcher = a.watch();
    expect(only(await watcher.next()).state).toBe(State.UP);
    await happens();
    const event = await watcher.next();
    expect(event.type).toBe(Type.UPDATE);
    await watcher.stop();
    return only(event).state;
  };

  test('43: the next hop dies, and watchers hear UPDATE with DOWN', async () => {
    expect(await stateAfter(() => hop.stop())).toBe(State.DOWN);
  });

  test('44: the next hop tells DELETE, and watchers hear UPDATE with DOWN', async () => {
    expect(await stateAfter(() => hop.tell(Type.DELETE))).toBe(State.DOWN);
  });

  test('a state that the next hop tells is passed on', async () => {
    const state = State.REFRESH_REQUESTED;
    expect(await stateAfter(() => hop.tell(Type.UPDATE, { state }))).toBe(state);
  });

  test('45: a watcher that leaves does not disturb the others', async () => {
    const [leaving, staying] = [a.watch(), a.watch()];
    await Promise.all([leaving.next(), staying.next()]);
    await leaving.stop();
    await a.request();
    expect((await staying.next()).type).toBe(Type.UPDATE);
    await staying.stop();
  });
});
