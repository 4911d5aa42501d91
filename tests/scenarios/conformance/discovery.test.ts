import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectionEventType, State } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { startHop, type Hop } from './hop.ts';
import {
  endpointOf,
  keepForwarder,
  managerWithHop,
  serviceOf,
  startForwarder,
  startManager,
  startRegistry,
  type TestManager,
  type TestRegistry,
} from './parts.ts';
import { callerOf, createStage, namesOf, refusal, type Caller, type Stage } from './stage.ts';

let stage: Stage;
beforeEach(() => void (stage = createStage()));
afterEach(() => stage.end());

const refusing = (text: string) => async () => {
  throw new NsmError('exhausted', text);
};

describe('a manager', () => {
  let registry: TestRegistry;
  let manager: TestManager;
  let a: Caller;
  beforeEach(async () => {
    registry = await startRegistry(stage);
    await registry.services.register(serviceOf('svc'));
    manager = await startManager(stage, { name: 'mgr' });
    a = callerOf(stage, manager.url);
  });
  const forwarder = async (name: string, labels?: Record<string, string>): Promise<Hop> => {
    const hop = await startHop(stage, name);
    await keepForwarder(stage, manager, hop.url, { name, ...(labels && { labels }) });
    return hop;
  };

  test('50: an unknown service is told by name', async () => {
    const error = await refusal(a.request({ networkService: 'nowhere' }));
    expect(error.message).toContain('network service nowhere is not found');
    expect(error.code).toBe('not-found');
  });

  test('51: without a forwarder there are no candidates', async () => {
    const error = await refusal(a.request());
    expect(error.message).toContain('no candidates found');
    expect(error.code).toBe('no-candidate');
  });

  test('52: of two forwarders the second is tried where the first fails; both failing tells both reasons', async () => {
    const hops = [await forwarder('f1'), await forwarder('f2')];
    let failed = 0;
    for (const hop of hops)
      hop.answers(async (...call) => {
        failed += 1;
        if (failed === 1) throw new NsmError('unavailable', 'broken');
        return hop.well(...call);
      });
    const answer = await a.request();
    expect(hops.map(({ calls }) => calls.length)).toEqual([1, 1]);
    await a.close(answer);
    for (const hop of hops) hop.answers(refusing(`${hop.name} is full`));
    const { message } = await refusal(a.request());
    for (const text of ['all forwarders have failed', 'f1 is full', 'f2 is full'])
      expect(message).toContain(text);
  });

  test.each([
    ['LOCAL', 'MEMIF', 'VPP'],
    ['LOCAL', 'VFIO', 'SR-IOV'],
    ['REMOTE', 'WIREGUARD', 'ask for VXLAN'],
    ['REMOTE', 'IPSEC', 'ask for WIREGUARD'],
  ])(
    '52: a forwarder that refuses %s %s says why, and the next one serves',
    async (cls, type, why) => {
      await registry.endpoints.register(endpointOf('e', 'unix:///e.sock', 'svc'));
      const ours = await startForwarder(stage, { name: 'f1', registryUrl: manager.url });
      await keepForwarder(stage, manager, ours.url, { name: 'f1' });
      const preferences = [{ cls, type, parameters: {} }];
      const error = await refusal(a.request({}, { preferences }));
      expect(error.code).toBe('mechanism-unsupported');
      expect(error.message).toMatch(new RegExp(`${cls} ${type} \\(.*${why}`));
      const other = await forwarder('f2');
      const answer = await a.request({}, { preferences });
      expect(answer.mechanism?.type).toBe(type);
      expect(namesOf(answer)).toEqual(['A', 'mgr', 'f2']);
      expect(other.calls).toHaveLength(1);
    },
  );

  test('53: a refresh keeps its forwarder; a reselection may take another', async () => {
    const hops = [await forwarder('f1'), await forwarder('f2')];
    const answer = await a.request();
    const [used, other] = hops[0]!.calls.length > 0 ? hops : hops.toReversed();
    // Also where the path does not say which one it was.
    const path = { ...answer.path!, pathSegments: answer.path!.pathSegments.slice(0, 2) };
    await a.request({ ...answer, path });
    expect([used!.requests().length, other!.requests().length]).toEqual([2, 0]);
    used!.answers(refusing('leaving'));
    await refusal(a.request(answer));
    expect(other!.calls).toEqual([]);
    await a.request({ ...answer, state: State.RESELECT_REQUESTED });
    expect(other!.requests()).toHaveLength(1);
  });

  test('54: a match with metadata takes forwarders with its labels only, one without takes p2p=true', async () => {
    await registry.services.register(
      serviceOf('special', { matches: [{ routes: [{}], metadata: { labels: { x: 'y' } } }] }),
    );
    await registry.services.register(serviceOf('plain', { matches: [{ routes: [{}] }] }));
    const usual = await forwarder('f1', { p2p: 'true' });
    const special = await forwarder('f2', { x: 'y' });
    await a.request({ id: 'A-1', networkService: 'special' });
    expect([usual.calls.length, special.calls.length]).toEqual([0, 1]);
    await a.request({ id: 'A-2', networkService: 'plain' });
    expect([usual.calls.length, special.calls.length]).toEqual([1, 1]);
    special.answers(refusing('full'));
    await refusal(a.request({ id: 'A-3', networkService: 'special' }));
    expect(usual.calls).toHaveLength(1);
  });

  test('54: forwarders of other nodes are not asked', async () => {
    const other = await startManager(stage, { name: 'other' });
    const hop = await startHop(stage, 'f9');
    await keepForwarder(stage, other, hop.url, { name: 'f9' });
    expect((await refusal(a.request())).message).toContain('no candidates found');
    expect(hop.calls).toEqual([]);
  });

  test('62: a connection whose endpoint no longer fits the rules of its service is closed', async () => {
    const tier = (value: string) =>
      serviceOf('svc', { matches: [{ routes: [{ destinationSelector: { tier: value } }] }] });
    const hop = await forwarder('fwd');
    await registry.services.register(tier('1'));
    await registry.endpoints.register(endpointOf('nse', 'tcp://b:1', 'svc', { tier: '1' }));
    const watcher = a.watch();
    await watcher.next();
    await a.request({ networkServiceEndpointName: 'nse' });
    await watcher.next();
    // Registered again as it was: nothing happens.
    await registry.services.register(tier('1'));
    const again = { id: 'A-2', networkServiceEndpointName: 'nse' };
    await a.request(again);
    expect((await watcher.next()).type).toBe(ConnectionEventType.UPDATE);
    expect(hop.closes()).toEqual([]);
    await registry.services.register(tier('2'));
    await hop.until(() => hop.closes().length === 2);
    expect(hop.closes()[0]?.networkServiceEndpointName).toBe('nse');
    expect((await watcher.next()).type).toBe(ConnectionEventType.DELETE);
    // A refresh that was under way then makes it anew, with the endpoint that it names.
    await a.request(again);
    await hop.until(() => hop.closes().length === 3);
    await watcher.stop();
  });
});

test('63: the next hop sees where the client is, unless the client says so itself', async () => {
  const labels = { nodeName: 'n1', podName: 'p1', clusterName: 'c1' };
  const { manager, hop } = await managerWithHop(stage, { labels });
  const a = callerOf(stage, manager.url);
  await a.request({ id: 'A-1', labels: { app: 'x' } });
  await a.request({ id: 'A-2', labels: { podName: 'mine' } });
  expect(hop.requests().map((request) => request.labels)).toEqual([
    { ...labels, app: 'x' },
    { ...labels, podName: 'mine' },
  ]);
});

test('64: the next hop sees the excluded prefixes of the node, as they are at each request', async () => {
  let prefixes = ['10.0.0.0/8'];
  const { manager, hop } = await managerWithHop(stage, { excluded: () => prefixes });
  const a = callerOf(stage, manager.url);
  const answer = await a.request({ context: { ipContext: { excludedPrefixes: ['10.1.0.0/16'] } } });
  prefixes = ['10.0.0.0/8', '192.168.0.0/16'];
  await a.request(answer);
  expect(hop.requests().map(({ context }) => context?.ipContext?.excludedPrefixes)).toEqual([
    ['10.1.0.0/16', '10.0.0.0/8'],
    ['10.1.0.0/16', '10.0.0.0/8', '192.168.0.0/16'],
  ]);
});

test("64: the next hop finds an IP context, since upstream's endpoints end themselves without one", async () => {
  const { manager, hop } = await managerWithHop(stage, { excluded: () => [] });
  await callerOf(stage, manager.url).request({});
  expect(hop.requests().map(({ context }) => context?.ipContext?.excludedPrefixes)).toEqual([[]]);
});
