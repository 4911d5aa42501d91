import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startHop, type Hop } from './hop.ts';
import {
  endpointOf,
  serviceOf,
  startForwarder,
  startRegistry,
  type TestForwarder,
  type TestRegistry,
} from './parts.ts';
import { callerOf, createStage, kernel, refusal, type Caller, type Stage } from './stage.ts';

/** Physical networks and trunks (contract 4.3, 4.6): what the forwarder offers, takes and refuses. */
const NODE = 'inode://0/1';
let stage: Stage;
let registry: TestRegistry;
let hop: Hop;
let forwarder: TestForwarder;
let a: Caller;

const networks = {
  names: ['gw1'],
  find: (via: string) => (via === 'gw1' ? { device: 'eth1', mtu: 1450 } : undefined),
};
const start = async (payload: string, url?: string): Promise<void> => {
  await registry.services.register(serviceOf('svc', { payload }));
  hop = await startHop(stage, 'nse', url);
  await registry.endpoints.register(endpointOf('nse', hop.url, 'svc'));
  forwarder = await startForwarder(stage, { networks });
  forwarder.datapath.addForeign(NODE, 'eth1');
  a = callerOf(stage, forwarder.url);
};
/** A remote VLAN endpoint. */
const answerVlan = (vlan: string, via?: string): void =>
  hop.answers(async (request, context) => ({
    ...(await hop.well(request, context)),
    mechanism: { cls: 'REMOTE', type: 'VLAN', parameters: { 'vlan-id': vlan } },
    ...(via !== undefined && { labels: { via } }),
    context: {
      ipContext: {
        srcIpAddrs: ['172.16.1.1/24'],
        dstIpAddrs: [],
        srcRoutes: [],
        dstRoutes: [],
        excludedPrefixes: [],
        ipNeighbors: [],
        policies: [],
        srcIpRequired: false,
        dstIpRequired: false,
        extraPrefixRequest: [],
        extraPrefixes: [],
      },
      dnsContext: undefined,
      ethernetContext: undefined,
      extraContext: {},
      MTU: 0,
    },
  }));
const bridges = (): string[] =>
  forwarder.datapath
    .show({ node: NODE })
    .filter((line) => line.includes('nsm-segment:'))
    .map((line) => /nsm-segment:\S+/.exec(line)![0]);
const preferences = [kernel({ name: 'nsm-1' })];

beforeEach(async () => {
  stage = createStage();
  registry = await startRegistry(stage);
});
afterEach(() => stage.end());

describe('a physical network', () => {
  test.each([
    ['ETHERNET', 'a node that is on one', networks, ['VXLAN', 'VLAN']],
    ['IP', 'a node that is on one', networks, ['VXLAN']],
    ['ETHERNET', 'a node that is on none', undefined, ['VXLAN']],
  ])('is offered for what it can carry: %s by %s', async (payload, _node, known, types) => {
    await start(payload, 'tcp://10.0.0.9:5001');
    if (known === undefined) {
      forwarder = await startForwarder(stage, { name: 'bare' });
      a = callerOf(stage, forwarder.url);
    }
    await a.request({ payload });
    expect(hop.calls[0]?.preferences.map(({ type }) => type)).toEqual(types);
  });

  test('is joined by the label of the endpoint, with the MTU of the link, and left on close', async () => {
    await start('ETHERNET', 'tcp://10.0.0.9:5003');
    answerVlan('100', 'gw1');
    const answer = await a.request({ payload: 'ETHERNET' }, { preferences });
    expect(answer.mechanism).toMatchObject({ cls: 'LOCAL', type: 'KERNEL' });
    expect(answer.context?.MTU).toBe(1450);
    expect(forwarder.datapath.show({ client: 'inode://1/1' })).toEqual([
      expect.stringMatching(/^ip -n client link add nsm-1 address \S+ mtu 1450 type veth$/),
      expect.stringContaining('up'),
      'ip -n client addr add 172.16.1.1/24 dev nsm-1',
    ]);
    expect(bridges()).toEqual(['nsm-segment:eth1/100']);
    await a.request(answer);
    await a.close(answer);
    expect(bridges()).toEqual([]);
    expect(forwarder.datapath.show({ client: 'inode://1/1' })).toEqual([]);
  });

  test.each([
    [undefined, 'no label "via"'],
    ['gw9', 'not on the physical network "gw9"'],
  ])('that is %s is refused with what is known, and closed again', async (via, why) => {
    await start('ETHERNET', 'tcp://10.0.0.9:5003');
    answerVlan('100', via);
    const error = await refusal(a.request({ payload: 'ETHERNET' }, { preferences }));
    expect(error.code).toBe('mechanism-unsupported');
    expect(error.message).toContain(why);
    expect(error.hint).toContain('known here: gw1');
    expect(hop.closes()).toHaveLength(1);
    expect(bridges()).toEqual([]);
  });
});

describe('an endpoint with all its wires on one interface', () => {
  test('is told that it may, and has a tag per wire and no address', async () => {
    await start('ETHERNET');
    let vlan = 0;
    hop.answers(async (request, context) => {
      const answer = await hop.well(request, context);
      vlan += 1;
      const parameters = { inodeURL: 'inode://1/9', name: 'trunk', vlan: String(vlan) };
      return { ...answer, mechanism: { cls: 'LOCAL', type: 'KERNEL', parameters } };
    });
    const answers = [];
    for (const [i, netns] of ['inode://1/1', 'inode://1/3'].entries())
      answers.push(
        await a.request(
          { id: `A-${i}`, payload: 'ETHERNET' },
          { preferences: [kernel({ name: 'nsm-1', inodeURL: netns })] },
        ),
      );
    expect(hop.calls[0]?.preferences[0]?.parameters['supportsVlan']).toBe('true');
    const endpoint = (): string[] => forwarder.datapath.show({ endpoint: 'inode://1/9' });
    expect(endpoint().filter((line) => line.includes('link add'))).toHaveLength(1);
    expect(new Set(bridges().map((alias) => alias.split('/').at(-1)))).toEqual(new Set(['1', '2']));
    for (const answer of answers) await a.close(answer);
    expect(endpoint()).toEqual([]);
    expect(bridges()).toEqual([]);
  });

  test('is not told so for a wire that comes by a tunnel', async () => {
    await start('ETHERNET');
    const vxlan = { cls: 'REMOTE', type: 'VXLAN', parameters: { src_ip: '10.0.0.1' } };
    await a.request({ payload: 'ETHERNET' }, { preferences: [vxlan] });
    expect(hop.calls[0]?.preferences[0]?.parameters).toEqual({});
  });
});
