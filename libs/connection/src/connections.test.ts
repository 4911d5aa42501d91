import { describe, expect, test } from '@jest/globals';
import { chain, slot } from '@nsm/chain';
import { ConnectionEventType as Event, State, type ConnectionEvent } from '@nsm/proto';
import type { Call, ConnectionElement } from './call.ts';
import { createConnections, type Connections } from './connections.ts';
import { lifecycle } from './elements/lifecycle.ts';
import { callOf, echo } from './testing.ts';

const start = (...below: ConnectionElement[]) => {
  const failures: unknown[] = [];
  const connections = createConnections((_id, what) => failures.push(...what));
  const element = chain(lifecycle(connections), ...below);
  return { connections, failures, run: (call: Call) => element.run(call, echo) };
};

/** Holds a thing in `world` while the connection lives. */
const holder = (world: string[]): ConnectionElement => {
  const held = slot<string>('held');
  return {
    name: 'holder',
    run: (call, next) => {
      const { id } = call.connection;
      if (call.scope.get(held) === undefined) {
        call.scope.hold(held, id, () => void world.splice(world.indexOf(id), 1));
        world.push(id);
      }
      return next(call);
    },
  };
};
const gate = () => {
  const entered: Call[] = [];
  const open: (() => void)[] = [];
  const element: ConnectionElement = {
    name: 'gate',
    run: async (call, next) => {
      entered.push(call);
      await new Promise<void>((resolve) => open.push(resolve));
      return next(call);
    },
  };
  return { element, entered, open };
};
const settle = () => new Promise((resolve) => setImmediate(resolve));
const watchAll = (connections: Connections, signal: AbortSignal) =>
  connections.watch({ matches: () => true }, signal)[Symbol.asyncIterator]();
const nextEvent = async (events: AsyncIterator<ConnectionEvent>) => {
  const { value } = (await events.next()) as { value: ConnectionEvent };
  return { type: value.type, ids: Object.keys(value.connections) };
};

describe('connections', () => {
  test('requests of one id run one after the other, of different ids together', async () => {
    const g = gate();
    const { run } = start(g.element);
    const all = [
      run(callOf({ id: 'a' })),
      run(callOf({ id: 'a', labels: { second: '1' } })),
      run(callOf({ id: 'b' })),
    ];
    await settle();
    expect(g.entered.map(({ connection }) => connection.id)).toEqual(['a', 'b']);
    g.open[0]?.();
    await settle();
    expect(g.entered).toHaveLength(3);
    g.open.forEach((open) => open());
    await Promise.all(all);
  });

  test('a close takes down what is held, and an unknown close is no error', async () => {
    const world: string[] = [];
    const { run, connections } = start(holder(world));
    await run(callOf({ id: 'a' }));
    expect(world).toEqual(['a']);
    await run(callOf({ id: 'a', labels: { other: 'argument' } }, { op: 'close' }));
    await run(callOf({ id: 'a' }, { op: 'close' }));
    expect([world, connections.list()]).toEqual([[], []]);
  });

  test('those of one origin are found by its segment until they are closed', async () => {
    const { connections, run } = start();
    const from = (id: string, origin: string) =>
      run(callOf({ id, path: { pathSegments: [{ id: origin }, { id }], index: 1 } }));
    for (const [id, origin] of [
      ['a', 'x'],
      ['b', 'x'],
      ['a', 'x'],
      ['c', 'y'],
    ] as const)
      await from(id, origin);
    const startedBy = (origin: string) => connections.startedBy(origin).map(({ id }) => id);
    expect([startedBy('x'), startedBy('y'), startedBy('z')]).toEqual([['a', 'b'], ['c'], []]);
    await connections.close('a');
    expect(startedBy('x')).toEqual(['b']);
  });

  test('a failed first request leaves no entry, a failed refresh keeps the connection', async () => {
    const world: string[] = [];
    let fail = true;
    const flaky: ConnectionElement = {
      name: 'flaky',
      run: (call, next) => (fail ? Promise.reject(new Error('no')) : next(call)),
    };
    const { run, connections } = start(holder(world), flaky);
    await expect(run(callOf({ id: 'a' }))).rejects.toThrow('no');
    expect([world, connections.get('a')]).toEqual([[], undefined]);
    fail = false;
    await run(callOf({ id: 'a' }));
    fail = true;
    await expect(run(callOf({ id: 'a' }))).rejects.toThrow('no');
    expect([world, connections.get('a')?.id]).toEqual([['a'], 'a']);
  });

  test('a request queued behind a failing first one starts afresh', async () => {
    const g = gate();
    let fail = true;
    const flaky: ConnectionElement = {
      name: 'flaky',
      run: (call, next) => (fail ? Promise.reject(new Error('no')) : next(call)),
    };
    const { run, connections } = start(g.element, flaky);
    const first = run(callOf({ id: 'a' }));
    const second = run(callOf({ id: 'a' }));
    await settle();
    g.open[0]?.();
    await expect(first).rejects.toThrow('no');
    fail = false;
    await settle();
    g.open[1]?.();
    await second;
    expect(connections.get('a')?.id).toBe('a');
  });

  test('a reselection leaves the old connection before it asks again, and the answer is up', async () => {
    const world: string[] = [];
    const seen: number[] = [];
    const look: ConnectionElement = {
      name: 'look',
      run: (call, next) => {
        seen.push(world.length);
        return next(call);
      },
    };
    const { run } = start(look, holder(world));
    await run(callOf({ id: 'a' }));
    const answer = await run(callOf({ id: 'a', state: State.RESELECT_REQUESTED }));
    expect(seen).toEqual([0, 0]);
    expect(answer.state).toBe(State.UP);
  });

  test('what succeeded for a caller that is gone is taken down again', async () => {
    const world: string[] = [];
    const g = gate();
    const { run, connections } = start(holder(world), g.element);
    const controller = new AbortController();
    const call = run(callOf({ id: 'a' }, { signal: controller.signal }));
    await settle();
    controller.abort();
    g.open[0]?.();
    await expect(call).rejects.toBeDefined();
    expect([world, connections.list()]).toEqual([[], []]);
  });

  test('watchers hear the present state, every refresh, and the end, also when the undo failed', async () => {
    const stuck: ConnectionElement = {
      name: 'stuck',
      run: (call, next) => {
        call.scope.hold(slot('stuck'), 1, () => Promise.reject(new Error('stuck')));
        return next(call);
      },
    };
    const { run, connections, failures } = start(stuck);
    await run(callOf({ id: 'a' }));
    const controller = new AbortController();
    const events = watchAll(connections, controller.signal);
    expect(await nextEvent(events)).toEqual({ type: Event.INITIAL_STATE_TRANSFER, ids: ['a'] });
    await run(callOf({ id: 'a' }));
    expect(await nextEvent(events)).toEqual({ type: Event.UPDATE, ids: ['a'] });
    await run(callOf({ id: 'a' }, { op: 'close' }));
    expect(await nextEvent(events)).toEqual({ type: Event.DELETE, ids: ['a'] });
    expect(failures).toHaveLength(2); // one per request that held
    controller.abort();
    expect((await events.next()).done).toBe(true);
  });

  test('a watcher that matches nothing gets an empty initial state at once', async () => {
    const { connections } = start();
    const events = connections
      .watch({ matches: () => false }, AbortSignal.timeout(5_000))
      [Symbol.asyncIterator]();
    expect(await nextEvent(events)).toEqual({ type: Event.INITIAL_STATE_TRANSFER, ids: [] });
    await events.return?.();
  });
});
