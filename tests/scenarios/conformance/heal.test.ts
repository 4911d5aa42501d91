import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectionContext, ConnectionEventType as Type, State } from '@nsm/proto';
import { startHop, type Hop } from './hop.ts';
import { endpointOf, serviceOf, startForwarder, startNsc, startRegistry } from './parts.ts';
import { callerOf, createStage, idsOf, only, type Stage } from './stage.ts';

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

test('49: whatever an endpoint gives otherwise its clients have by REFRESH_REQUESTED, on the same interface', async () => {
  const stage = createStage();
  try {
    const registry = await startRegistry(stage);
    const nse = await startHop(stage, 'nse');
    await registry.services.register(serviceOf('svc', { payload: 'IP' }));
    await registry.endpoints.register(endpointOf('nse', nse.url, 'svc'));
    const forwarder = await startForwarder(stage);
    const gives = (context: Parameters<typeof ConnectionContext.fromPartial>[0]): void =>
      nse.answers(async (request, call) => ({
        ...(await nse.well(request, call)),
        context: ConnectionContext.fromPartial(context),
      }));
    const pod = () => forwarder.datapath.show({ client: 'inode://1/1' });

    gives({ ipContext: { srcIpAddrs: ['172.16.1.1/32'], dstIpAddrs: ['172.16.1.0/32'] } });
    const up = Promise.withResolvers<string | undefined>();
    await startNsc(stage, forwarder.url, up.resolve);
    expect(await up.promise).toBeUndefined();
    await nse.heard();
    const [link = ''] = pod();
    const watcher = callerOf(stage, forwarder.url).watch();
    expect(only(await watcher.next()).context?.MTU).toBe(0);

    gives({
      ipContext: {
        srcIpAddrs: ['172.16.9.1/32'],
        dstIpAddrs: ['172.16.9.0/32'],
        srcRoutes: [{ prefix: '10.1.0.0/16' }],
        policies: [{ proto: '6', dstPort: '8080', routes: [{ prefix: '10.2.0.0/16' }] }],
      },
      dnsContext: { configs: [{ dnsServerIps: ['172.16.9.0'], searchDomains: ['svc'] }] },
      MTU: 1_400,
    });
    nse.tell(Type.UPDATE, { state: State.REFRESH_REQUESTED });
    expect(only(await watcher.next()).state).toBe(State.REFRESH_REQUESTED);
    for (let i = 0; i < 10 && nse.requests().length < 2; i += 1) await stage.clock.advance(50);
    const { context } = only(await watcher.next());
    expect(context?.dnsContext?.configs).toEqual([
      { dnsServerIps: ['172.16.9.0'], searchDomains: ['svc'] },
    ]);
    const now = pod();
    expect(now[0]).toBe(link.replace('mtu 1500', 'mtu 1400'));
    const found = (part: string): boolean => now.some((line) => line.includes(part));
    for (const part of [
      'addr add 172.16.9.1/32',
      'route add 172.16.9.0/32',
      'route add 10.1.0.0/16 via 172.16.9.0',
      'rule add ipproto 6 dport 8080-8080 table 1',
      'route add 10.2.0.0/16 via 172.16.9.0',
    ])
      expect([part, found(part)]).toEqual([part, true]);
    expect(found('172.16.1.')).toBe(false);
    await watcher.stop();
  } finally {
    await stage.end();
  }
});
