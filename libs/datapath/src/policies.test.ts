import { describe, expect, test } from '@jest/globals';
import { createFakeDatapath, createFakeKernel } from './fake.ts';
import type { FakeDatapath } from './fake.ts';
import type { Plan } from './plan.ts';
import { context, localPlan } from './testing.ts';
import type { WirePolicy } from './wire.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };
const policy = (more: Partial<WirePolicy> = {}): WirePolicy => ({
  ...{ from: '', proto: '', dstPort: '', srcPort: '', routes: [] },
  ...more,
});
const port = (dstPort: string): WirePolicy => policy({ dstPort });
/** Wire `i` of the client, whose peer is 10.0.i.1. */
const planOf = (i: number, policies: readonly WirePolicy[], endpoint = places.endpoint): Plan =>
  localPlan(
    { ...places, endpoint },
    {
      id: `c${i}`,
      name: `nsm-${i}`,
      context: context([`10.0.${i}.2/32`], [`10.0.${i}.1/32`], { policies }),
    },
  );
const second = 'inode://4/3';

const shown = (datapath: FakeDatapath, word: 'rule add' | ' table '): string[] =>
  datapath
    .show({ client: places.client })
    .filter((line) => line.includes(word) && line.includes('rule add') === (word === 'rule add'))
    .map((line) => line.replace('ip -n client ', ''));

describe('policy routes', () => {
  test('are a rule and a table each, tried in their order', async () => {
    const datapath = createFakeDatapath();
    await datapath.ensure(planOf(1, [port('80'), port('443')]));
    expect(shown(datapath, 'rule add')).toEqual([
      'rule add dport 80-80 table 1 priority 30000',
      'rule add dport 443-443 table 2 priority 30001',
    ]);
    expect(shown(datapath, ' table ')).toEqual([
      'route add 0.0.0.0/0 via 10.0.1.1 dev nsm-1 table 1',
      'route add 0.0.0.0/0 via 10.0.1.1 dev nsm-1 table 2',
    ]);
    expect((await datapath.census()).rules).toEqual({ [places.client]: 2 });
  });

  test('of two wires of a namespace do not touch each other, also after a restart', async () => {
    const kernel = createFakeKernel();
    const before = createFakeDatapath({ kernel });
    await before.ensure(planOf(1, [port('80')]));
    await before.ensure(planOf(2, [port('80')], second));
    const datapath = createFakeDatapath({ kernel });
    await datapath.ensure(planOf(2, [port('80'), port('81')], second));
    await datapath.remove(planOf(1, []));
    await datapath.ensure(planOf(2, [port('80'), port('81')], second));
    expect(shown(datapath, 'rule add')).toEqual([
      'rule add dport 80-80 table 2 priority 30000',
      'rule add dport 81-81 table 3 priority 30001',
    ]);
    expect(shown(datapath, ' table ').every((line) => line.includes('dev nsm-2'))).toBe(true);
  });

  test('use no table that somebody else uses, whether by a rule or a route', async () => {
    const kernel = createFakeKernel();
    const datapath = createFakeDatapath({ kernel });
    datapath.addForeign(places.client, 'eth0');
    const space = kernel.enter(places.client);
    const dev = space.link('eth0')!;
    space.apply([
      { op: 'set', dev, to: { up: true } },
      { op: 'route', dev, route: { to: '10.9.0.0/16' }, table: 1 },
      { op: 'rule', rule: { family: 6, table: 2, priority: 1 } },
    ]);
    await datapath.ensure(planOf(1, [port('80')]));
    expect(shown(datapath, 'rule add')[0]).toContain(' table 3 ');
  });

  test('are not made for a wire that is refused', async () => {
    const datapath = createFakeDatapath();
    const text = JSON.stringify(planOf(1, [port('80')]));
    const broken = JSON.parse(text) as { link: { endpoint: { name: string } } };
    datapath.addForeign(places.endpoint, 'eth0');
    broken.link.endpoint.name = 'eth0';
    await expect(datapath.ensure(broken as unknown as Plan)).rejects.toThrow('EEXIST');
    expect(datapath.show({ client: places.client })).toEqual([]);
  });

  test('go with the wire whose link somebody deleted, and come back with it', async () => {
    const kernel = createFakeKernel();
    const datapath = createFakeDatapath({ kernel });
    const plan = planOf(1, [port('80')]);
    const deleteLink = (): void => {
      const space = kernel.enter(places.client);
      space.apply([{ op: 'delete', dev: space.link('nsm-1')! }]);
    };
    await datapath.ensure(plan);
    deleteLink();
    expect(shown(datapath, 'rule add')).toHaveLength(1);
    await datapath.ensure(plan, plan);
    expect(shown(datapath, 'rule add')).toHaveLength(1);
    expect(shown(datapath, ' table ')).toHaveLength(1);
    deleteLink();
    await datapath.remove(plan);
    expect(datapath.show({ client: places.client })).toEqual([]);
  });

  test('go with the last removed wire of an endpoint that takes the client’s link along', async () => {
    const datapath = createFakeDatapath();
    const plan = planOf(1, [port('80')]);
    await datapath.ensure(plan);
    datapath.removeNetns(places.endpoint);
    await datapath.remove(plan);
    expect(datapath.show({ client: places.client })).toEqual([]);
  });

  test('come back when the link was taken down', async () => {
    const datapath = createFakeDatapath();
    const plan = planOf(1, [port('80')]);
    await datapath.ensure(plan);
    datapath.takeDown(places.client, 'nsm-1');
    expect(shown(datapath, ' table ')).toEqual([]);
    await datapath.ensure(plan, plan);
    expect(shown(datapath, 'rule add')).toHaveLength(1);
    expect(shown(datapath, ' table ')).toHaveLength(1);
  });

  test('change for thousands of refreshes and stay before the main table', async () => {
    const datapath = createFakeDatapath();
    let was: Plan | undefined;
    for (let i = 1; i < 3_000; i += 1) {
      const plan = planOf(1, [port(String(i)), port(String(i + 1))]);
      await datapath.ensure(plan, was);
      was = plan;
    }
    const rules = shown(datapath, 'rule add');
    expect(rules.map((rule) => rule.split(' ')[3])).toEqual(['2999-2999', '3000-3000']);
    for (const rule of rules) expect(Number(rule.split(' ').at(-1))).toBeLessThan(32_766);
  });

  test('with the same packets are all kept, one behind the other', async () => {
    const datapath = createFakeDatapath();
    const to = (prefix: string): WirePolicy =>
      policy({ proto: '6', routes: [{ prefix, nextHop: '' }] });
    const plan = planOf(1, [to('10.1.0.0/16'), to('10.2.0.0/16')]);
    await datapath.ensure(plan);
    const made = datapath.operations.length;
    await datapath.ensure(plan);
    expect(datapath.operations.slice(made).filter((op) => op !== 'sysctl')).toEqual([]);
    expect(shown(datapath, ' table ')).toEqual([
      'route add 10.1.0.0/16 via 10.0.1.1 dev nsm-1 table 1',
      'route add 10.2.0.0/16 via 10.0.1.1 dev nsm-1 table 2',
    ]);
  });
});
