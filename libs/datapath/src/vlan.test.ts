import { beforeEach, describe, expect, test } from '@jest/globals';
import { checkPlan } from './check.ts';
import {
  createFakeDatapath,
  createFakeKernel,
  type FakeDatapath,
  type FakeKernel,
} from './fake.ts';
import type { Namespace } from './kernel.ts';
import type { Plan } from './plan.ts';
import { planFrom } from './plan-from.ts';
import { context, trunkPlan, vlanPlan } from './testing.ts';

const NODE = 'inode://1/100';
const [A, B, ENDPOINT] = ['inode://1/1', 'inode://1/2', 'inode://1/3'] as const;
const places = { client: A, endpoint: ENDPOINT };

describe.each(['link', 'program'] as const)('a VLAN in a kernel that tags by a %s', (tagging) => {
  let kernel: FakeKernel;
  let datapath: FakeDatapath;
  let home: Namespace;
  beforeEach(() => {
    kernel = createFakeKernel({ tagging });
    datapath = createFakeDatapath({ kernel, node: NODE });
    home = kernel.forNode(NODE).home();
    datapath.addForeign(NODE, 'phys');
  });
  const phys = (): ReturnType<Namespace['link']> => home.link('phys');
  const bridges = (): string[] =>
    home.links().flatMap(({ kind, alias }) => (kind === 'bridge' ? [alias] : []));
  /** Which tags the carrier knows, however. */
  const tags = (device: string): number[] => {
    const { index } = home.link(device)!;
    const links = home.links().flatMap(({ vlan }) => (vlan?.parent === index ? [vlan.tag] : []));
    return [...links, ...home.filters(index).map(({ handle }) => handle)].toSorted((a, b) => a - b);
  };

  test('is made with its first wire, shared by the next, and goes with the last', async () => {
    const plans = [
      vlanPlan(A, 5, { id: 'a' }),
      vlanPlan(B, 5, { id: 'b' }),
      vlanPlan(B, 6, { id: 'c', name: 'nsm-2' }),
    ] as const;
    for (const plan of plans) await datapath.ensure(plan);
    expect(bridges()).toEqual(['nsm-segment:phys/5', 'nsm-segment:phys/6']);
    expect(tags('phys')).toEqual([5, 6]);
    const bridge = home.links().find(({ alias }) => alias.endsWith('/5'))!;
    const uplinks = 1;
    expect(home.links().filter(({ master }) => master === bridge.index)).toHaveLength(2 + uplinks);
    await datapath.remove(plans[0]);
    expect(tags('phys')).toEqual([5, 6]);
    await datapath.remove(plans[1]);
    expect(tags('phys')).toEqual([6]);
    await datapath.remove(plans[2]);
    expect(home.links()).toEqual([phys()]);
    expect(tags('phys')).toEqual([]);
  });

  test('asked twice it changes nothing, also by another process', async () => {
    const plan = vlanPlan(A, 5);
    await datapath.ensure(plan);
    const made = datapath.operations.length;
    await datapath.ensure(plan, plan);
    expect(datapath.operations).toHaveLength(made);
    const before = home.links();
    await createFakeDatapath({ kernel, node: NODE }).ensure(plan);
    expect(home.links()).toEqual(before);
  });

  test('a wire that moves to another VLAN leaves nothing of the first', async () => {
    const [was, plan] = [vlanPlan(A, 5, { id: 'a' }), vlanPlan(A, 6, { id: 'a' })];
    await datapath.ensure(was);
    await datapath.ensure(plan, was);
    expect(tags('phys')).toEqual([6]);
    await datapath.remove(plan);
    expect(home.links()).toEqual([phys()]);
  });

  test('frames without a tag are taken from a link that is not the node’s own', async () => {
    const plan = vlanPlan(A, 0);
    await datapath.ensure(plan);
    expect(bridges()).toEqual(['nsm-segment:phys/0']);
    await datapath.remove(plan);
    expect(home.links().map(({ name }) => name)).toEqual(['phys']);
    home.apply([{ op: 'address', dev: phys()!, address: '10.0.0.1/24' }]);
    await expect(datapath.ensure(plan)).rejects.toMatchObject({ code: 'EBUSY' });
    expect(home.links().map(({ name }) => name)).toEqual(['phys']);
  });

  test('a wire that cannot be made takes the segment along that was made for it', async () => {
    datapath.addForeign(A, 'nsm-1');
    await expect(datapath.ensure(vlanPlan(A, 5))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(bridges()).toEqual([]);
    expect(tags('phys')).toEqual([]);
  });

  test('a pod that died leaves a segment, which goes with the next removal of any', async () => {
    await datapath.ensure(vlanPlan(A, 5, { id: 'a' }));
    datapath.removeNetns(A);
    expect(bridges()).toHaveLength(1);
    const other = vlanPlan(B, 6, { id: 'b' });
    await datapath.ensure(other);
    await datapath.remove(other);
    expect(home.links()).toEqual([phys()]);
  });

  test('a trunk has a tag per wire, no address, and goes with the last of them', async () => {
    const plans = [1, 2].map((tag) =>
      trunkPlan({ client: tag === 1 ? A : B, endpoint: ENDPOINT }, tag),
    );
    for (const plan of plans) await datapath.ensure(plan);
    const space = kernel.enter(ENDPOINT);
    const [trunk] = space.links();
    expect(space.links()).toMatchObject([{ name: 'trunk', kind: 'veth', up: true }]);
    expect(space.programmed(trunk!.index).addresses).toEqual([]);
    expect(tags(home.link(trunk!.peer!)!.name)).toEqual([1, 2]);
    await datapath.remove(plans[0]!);
    expect(space.links()).toHaveLength(1);
    await datapath.remove(plans[1]!);
    expect(space.links()).toEqual([]);
    expect(home.links()).toEqual([phys()]);
  });
});

describe('the plan of a VLAN', () => {
  const wire = {
    id: 'a',
    payload: 'ETHERNET',
    context: context(['172.16.1.1/24'], []),
    client: { type: 'KERNEL', parameters: { inodeURL: A, name: 'nsm-1' } },
    endpoint: { type: 'VLAN', parameters: { 'vlan-id': '100' } },
    network: 'eth1',
    underlay: { mtu: 1500 },
  } as const;
  const endpoint = (
    parameters: Record<string, string>,
  ): { type: string; parameters: typeof parameters } => ({
    type: 'KERNEL',
    parameters: { inodeURL: ENDPOINT, name: 'trunk', ...parameters },
  });

  test('has the client’s end, the tag and the link', () => {
    expect(planFrom(wire).link).toMatchObject({
      kind: 'vlan',
      side: 'client',
      tag: 100,
      carrier: { device: 'eth1' },
      end: { netns: A, addresses: ['172.16.1.1/24'] },
    });
  });

  test.each([
    ['100', 100],
    ['0', 0],
    ['', 0],
    ['x', 0],
  ])('reads vlan-id %j as %i', (id, tag) => {
    const { link } = planFrom({
      ...wire,
      endpoint: { type: 'VLAN', parameters: { 'vlan-id': id } },
    });
    expect(link).toMatchObject({ tag });
  });

  test.each([
    ['4094', 4094],
    ['4096', undefined],
    ['0', undefined],
    ['x', undefined],
  ])('reads the parameter vlan %j of an endpoint’s interface as %j', (vlan, tag) => {
    const { link } = planFrom({ ...wire, endpoint: endpoint({ vlan }) });
    if (tag === undefined) expect(link.kind).toBe('veth');
    else
      expect(link).toMatchObject({
        kind: 'vlan',
        tag,
        carrier: { netns: ENDPOINT, name: 'trunk' },
      });
  });

  test.each<[string, Partial<Parameters<typeof planFrom>[0]>]>([
    ['endpoint.vlan-id', { endpoint: { type: 'VLAN', parameters: { 'vlan-id': '4095' } } }],
    ['tag', { endpoint: endpoint({ vlan: '4095' }) }],
    ['payload', { payload: 'IP' }],
    [
      'client.vlan',
      { client: { ...wire.client, parameters: { ...wire.client.parameters, vlan: '5' } } },
    ],
  ])('refuses a faulty %s', (field, change) => {
    expect(() => planFrom({ ...wire, ...change })).toThrow(expect.objectContaining({ field }));
  });

  test('refuses to guess the physical network', () => {
    const { network: _, ...lost } = wire;
    expect(() => planFrom(lost)).toThrow(expect.objectContaining({ field: 'labels.via' }));
  });

  test('refuses a trunk that is the client’s own interface', () => {
    const plan = trunkPlan({ ...places, endpoint: A }, 5);
    const bad = { ...plan, link: { ...plan.link, carrier: { netns: A, name: 'nsm-1' } } } as Plan;
    expect(() => checkPlan(bad)).toThrow(expect.objectContaining({ field: 'carrier.name' }));
  });
});
