import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { PolicyRoute, State, type Connection } from '@nsm/proto';
import { startHop, type Hop } from './hop.ts';
import {
  endpointOf,
  serviceOf,
  startForwarder,
  startNse,
  startRegistry,
  type TestForwarder,
  type TestRegistry,
} from './parts.ts';
import { callerOf, createStage, kernel, refusal, type Caller, type Stage } from './stage.ts';

const UNKNOWN = { cls: 'LOCAL', type: 'PIGEON', parameters: {} };
const vxlan = (srcIp: string) => ({
  cls: 'REMOTE',
  type: 'VXLAN',
  parameters: { src_ip: srcIp, src_port: '4789' },
});

let stage: Stage;
let registry: TestRegistry;
beforeEach(async () => {
  stage = createStage();
  registry = await startRegistry(stage);
  await registry.services.register(serviceOf('svc'));
});
afterEach(() => stage.end());

describe('a forwarder', () => {
  let hop: Hop;
  let forwarder: TestForwarder;
  let a: Caller;
  const start = async (url?: string): Promise<void> => {
    hop = await startHop(stage, 'nse', url);
    await registry.endpoints.register(endpointOf('nse', hop.url, 'svc'));
    forwarder = await startForwarder(stage);
    a = callerOf(stage, forwarder.url);
  };

  test('65: the first preference that it can realise is taken', async () => {
    await start();
    const answer = await a.request({}, { preferences: [UNKNOWN, kernel({ name: 'n1' })] });
    expect(answer.mechanism).toMatchObject({ cls: 'LOCAL', type: 'KERNEL' });
  });

  test('65: with only unknown preferences, or none, it cannot support any', async () => {
    await start();
    for (const preferences of [[UNKNOWN], []]) {
      const error = await refusal(a.request({}, { preferences }));
      expect(error.message).toContain('cannot support any of the requested mechanism');
      expect(error.code).toBe('mechanism-unsupported');
    }
    expect(hop.calls).toEqual([]);
  });

  test('66: a mechanism of an unsupported type is refused', async () => {
    await start();
    const error = await refusal(a.request({ mechanism: UNKNOWN }));
    expect(error.message).toContain('unsupported mechanism');
    expect(error.code).toBe('mechanism-unsupported');
  });

  test.each([
    ['unix', undefined, ['LOCAL KERNEL']],
    ['tcp', 'tcp://10.0.0.9:5001', ['REMOTE VXLAN']],
  ])('67: a next hop by %s is offered mechanisms of its class only', async (_kind, url, offers) => {
    await start(url);
    await a.request();
    expect(hop.calls[0]?.preferences.map(({ cls, type }) => `${cls} ${type}`)).toEqual(offers);
  });

  test('67: the mechanism of the caller goes no further, and its own stays over a refresh', async () => {
    await start('tcp://10.0.0.9:5001');
    const answer = await a.request();
    await a.request(answer);
    const [first, refresh] = hop.requests();
    expect(first?.mechanism).toBeUndefined();
    expect(refresh?.mechanism?.type).toBe('VXLAN');
    expect(refresh?.mechanism?.parameters['vni']).toBe('77');
  });

  test.each(['svc', 'a-service-with-a-long-name'])(
    '68: an interface without a name gets one of 15 bytes that begins with the service, %s',
    async (name) => {
      await registry.services.register(serviceOf(name));
      await start();
      await registry.endpoints.register(endpointOf('e', hop.url, name));
      const answer = await a.request({ networkService: name });
      const interfaceName = answer.mechanism!.parameters['name']!;
      expect(interfaceName).toHaveLength(15);
      expect(interfaceName.startsWith(`${name.slice(0, 10)}-`)).toBe(true);
      const refreshed = await a.request(answer);
      expect(refreshed.mechanism!.parameters['name']).toBe(interfaceName);
    },
  );

  test('68: the name that is asked for is kept', async () => {
    await start();
    const answer = await a.request({}, { preferences: [kernel({ name: 'mine' })] });
    expect(answer.mechanism!.parameters['name']).toBe('mine');
  });

  test.each([
    ['10.0.0.1', 0], // below ours, 10.0.0.2
    ['10.0.0.2', 0],
    ['10.0.0.3', 1],
    ['9.255.255.255', 0], // as numbers, not as text
  ])('69: the VNI of a tunnel from %s is odd by %i', async (srcIp, odd) => {
    await start();
    const answer = await a.request({}, { preferences: [vxlan(srcIp)] });
    const { vni, dst_ip, dst_port } = answer.mechanism!.parameters;
    expect([Number(vni) % 2, dst_ip, dst_port]).toEqual([odd, '10.0.0.2', '4789']);
    expect(Number(vni)).toBeGreaterThan(0);
    expect(Number(vni)).toBeLessThan(2 ** 24);
  });

  test('69: VNIs differ, stay over a refresh, and are free again after a close', async () => {
    await start();
    const preferences = [vxlan('10.0.0.1')];
    const answers: Connection[] = [];
    for (let i = 0; i < 20; i += 1)
      answers.push(await a.request({ id: `A-${i}` }, { preferences }));
    const vniOf = ({ mechanism }: Connection) => mechanism!.parameters['vni'];
    expect(new Set(answers.map(vniOf)).size).toBe(20);
    const [first] = answers;
    expect(vniOf(await a.request(first))).toBe(vniOf(first!));
    expect(forwarder.vnis).toHaveLength(20);
    await a.close(first!);
    expect(forwarder.vnis).not.toContain(Number(vniOf(first!)));
    // The number it had can be asked for again.
    const again = await a.request(
      { id: 'B-1' },
      {
        preferences: [
          {
            ...preferences[0]!,
            parameters: { ...preferences[0]!.parameters, vni: vniOf(first!)! },
          },
        ],
      },
    );
    expect(vniOf(again)).toBe(vniOf(first!));
  });

  test('69: a number that is in use on this node is refused as a conflict, and nothing is left (ours)', async () => {
    await start('tcp://10.0.0.9:5001');
    await a.request({ id: 'A-1' });
    // The hop gives the same number to all.
    const error = await refusal(a.request({ id: 'A-2' }));
    expect([error.code, error.retry]).toEqual(['conflict', true]);
    expect(error.message).toContain('VNI 77 is in use on this node');
    expect(hop.closes()).toHaveLength(1);
    expect(forwarder.vnis).toEqual([77]);
  });

  test('72: the answer carries the inode URL that was sent', async () => {
    await start();
    const answer = await a.request({}, { preferences: [kernel({ inodeURL: 'inode://4/42' })] });
    expect(answer.mechanism!.parameters['inodeURL']).toBe('inode://4/42');
  });

  test('29: a reselection may agree on another mechanism, a refresh may not', async () => {
    await start();
    const answer = await a.request();
    const { message } = await refusal(a.request({ ...answer, mechanism: vxlan('10.0.0.1') }));
    expect(message).toContain('the connection has KERNEL and asks for VXLAN');
    const anew = await a.request(
      { id: answer.id, path: answer.path, state: State.RESELECT_REQUESTED },
      { preferences: [vxlan('10.0.0.1')] },
    );
    expect(anew.mechanism?.type).toBe('VXLAN');
  });
});

describe('the wire a forwarder makes for the answer of an endpoint', () => {
  const start = async (
    payload: 'IP' | 'ETHERNET',
    policyRoutes: () => readonly PolicyRoute[] = () => [],
  ) => {
    const url = await startNse(stage, { name: 'nse', groups: [['172.16.1.0/24']], policyRoutes });
    await registry.services.register(serviceOf('svc', { payload }));
    await registry.endpoints.register(endpointOf('nse', url, 'svc'));
    const forwarder = await startForwarder(stage);
    const a = callerOf(stage, forwarder.url);
    const answer = await a.request(
      { context: { MTU: 1_400 } },
      { preferences: [kernel({ name: 'nsm-1' })] },
    );
    const show = (): string[] =>
      forwarder.datapath.show({ client: 'inode://1/1', nse: 'inode://1/2' });
    return { a, answer, show };
  };

  test('78: the interface of the client has exactly its addresses, the routes and the MTU', async () => {
    const { a, answer, show } = await start('IP');
    expect(answer.context!.ipContext!.srcIpAddrs).toEqual(['172.16.1.1/32']);
    const client = show().filter((line) => line.startsWith('ip -n client'));
    expect(client[0]).toMatch(/link add nsm-1 address \S+ mtu 1400 type veth$/);
    expect(client.filter((line) => / (addr|route) /.test(line))).toEqual([
      'ip -n client addr add 172.16.1.1/32 dev nsm-1',
      'ip -n client route add 172.16.1.0/32 dev nsm-1',
    ]);
    // Addresses that went away are taken off.
    await a.request({
      ...answer,
      context: {
        ...answer.context,
        ipContext: { ...answer.context!.ipContext, excludedPrefixes: ['172.16.1.0/31'] },
      },
    });
    expect(show().filter((line) => / addr .*nsm-1/.test(line))).toEqual([
      'ip -n client addr add 172.16.1.3/32 dev nsm-1',
    ]);
  });

  test('80: a policy route is a rule with a table of its own, and gone after a close', async () => {
    let policies = [
      { proto: '6', dstPort: '80' },
      { from: '172.16.1.1/32', routes: [{ prefix: '10.0.0.0/8', nextHop: '172.16.1.0' }] },
    ].map((policy) => PolicyRoute.fromPartial(policy));
    const { a, answer, show } = await start('IP', () => policies);
    const policy = (): string[] => show().filter((line) => line.includes(' table '));
    expect(policy()).toEqual([
      'ip -n client route add 0.0.0.0/0 via 172.16.1.0 dev nsm-1 table 1',
      'ip -n client route add 10.0.0.0/8 via 172.16.1.0 dev nsm-1 table 2',
      'ip -n client rule add ipproto 6 dport 80-80 table 1 priority 30000',
      'ip -n client rule add from 172.16.1.1/32 table 2 priority 30001',
    ]);
    policies = policies.slice(1);
    const refreshed = await a.request(answer);
    expect(policy()).toEqual([
      'ip -n client route add 10.0.0.0/8 via 172.16.1.0 dev nsm-1 table 2',
      'ip -n client rule add from 172.16.1.1/32 table 2 priority 30001',
    ]);
    await a.close(refreshed);
    expect(show()).toEqual([]);
  });

  test('79: with the payload IP both ends have permanent neighbours for the addresses of the other', async () => {
    const { show } = await start('IP');
    const macOf = (netns: string): string =>
      /link add \S+ address (\S+)/.exec(
        show().find((line) => line.startsWith(`ip -n ${netns} link add`))!,
      )![1]!;
    const neighbours = show().filter((line) => line.includes(' neigh '));
    expect(neighbours).toEqual([
      `ip -n client neigh add 172.16.1.0 lladdr ${macOf('nse')} dev nsm-1`,
      expect.stringMatching(
        new RegExp(`^ip -n nse neigh add 172.16.1.1 lladdr ${macOf('client')} dev `),
      ),
    ]);
  });

  test('79: with the payload ETHERNET neighbours are left to ARP', async () => {
    const { show } = await start('ETHERNET');
    expect(show().filter((line) => line.includes(' neigh '))).toEqual([]);
  });

  test('78: a close leaves no interface', async () => {
    const { a, answer, show } = await start('IP');
    await a.close(answer);
    expect(show()).toEqual([]);
  });
});
