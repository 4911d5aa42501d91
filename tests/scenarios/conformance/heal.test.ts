import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectionEventType as Type, State } from '@nsm/proto';
import { startHop, type Hop } from './hop.ts';
import { startNsc } from './parts.ts';
import { createStage, idsOf, type Stage } from './stage.ts';

describe('a client', () => {
  let stage: Stage;
  let manager: Hop;
  beforeEach(async () => {
    stage = createStage();
    manager = await startHop(stage, 'mgr', undefined, ['fwd', 'nse']);
  });
  afterEach(() => stage.end());

  const requests = (count: number) =>
    manager.until(() => manager.requests().length >= count).then(() => manager.requests().at(-1)!);

  /** The next request of a wire that carries packets: it comes some time soon, so that not all come together. */
  const another = async () => {
    const asked = manager.requests().length;
    while (manager.requests().length === asked) await stage.clock.advance(50);
    return manager.requests().at(-1)!;
  };

  const RESELECTION = {
    state: State.RESELECT_REQUESTED,
    mechanism: undefined,
    networkServiceEndpointName: '',
  };

  test('46: without liveness, a path that is down is reselected', async () => {
    await startNsc(stage, manager.url);
    const first = await requests(1);
    await manager.heard();
    manager.tell(Type.UPDATE, { state: State.DOWN });
    const second = await requests(2);
    expect(second).toMatchObject(RESELECTION);
    expect(idsOf(second)[0]).toBe(idsOf(first)[0]);
  });

  test('46: without liveness, a monitor stream that breaks is a path that is down', async () => {
    await startNsc(stage, manager.url);
    await requests(1);
    await manager.heard();
    await manager.stop();
    const successor = await startHop(stage, 'mgr', manager.url, ['fwd', 'nse']);
    const passing = successor.until((calls) => calls.length > 0);
    // It is asked again after a moment.
    await stage.clock.advance(1_000);
    await passing;
    expect(successor.requests()[0]).toMatchObject(RESELECTION);
  });

  test('47: with a wire that is alive, a path that is down is refreshed along the same path', async () => {
    await startNsc(stage, manager.url, undefined, {
      intervalMs: 200,
      alive: async () => true,
    });
    await requests(1);
    await manager.heard();
    manager.tell(Type.DELETE);
    const second = await another();
    expect(second.state).not.toBe(State.RESELECT_REQUESTED);
    expect(second.networkServiceEndpointName).toBe('nse');
    expect(second.mechanism?.type).toBe('KERNEL');
    expect(second.path?.pathSegments.map(({ name }) => name)).toEqual(['nsc', 'mgr', 'fwd', 'nse']);
  });

  test('48: a wire that is silent is reselected, though its path is up', async () => {
    let alive = true;
    await startNsc(stage, manager.url, undefined, {
      intervalMs: 200,
      alive: async () => alive,
    });
    await requests(1);
    await manager.heard();
    await stage.clock.advance(1_000);
    expect(manager.requests()).toHaveLength(1);
    alive = false;
    await stage.clock.advance(200);
    expect(await requests(2)).toMatchObject(RESELECTION);
  });

  test('a wire that never answered is left alone', async () => {
    await startNsc(stage, manager.url, undefined, {
      intervalMs: 200,
      alive: async () => false,
    });
    await requests(1);
    await stage.clock.advance(5_000);
    expect(manager.requests()).toHaveLength(1);
  });

  test('49: REFRESH_REQUESTED is answered by a request', async () => {
    await startNsc(stage, manager.url);
    await requests(1);
    await manager.heard();
    manager.tell(Type.UPDATE, { state: State.REFRESH_REQUESTED });
    const second = await another();
    expect(second.networkServiceEndpointName).toBe('nse');
    expect(second.state).not.toBe(State.RESELECT_REQUESTED);
  });
});
