import { beforeEach, describe, expect, test } from '@jest/globals';
import { createFakeDatapath, type FakeDatapath } from './fake.ts';
import type { Plan } from './plan.ts';
import { context, localPlan, remotePlan } from './testing.ts';
import { createWatch, type Disturbance } from './watch.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };
const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('what happens to a wire unasked', () => {
  let datapath: FakeDatapath;
  let plan: Plan;
  let heard: Disturbance[];

  beforeEach(async () => {
    datapath = createFakeDatapath();
    plan = localPlan(places);
    const mine: Disturbance[] = [];
    heard = mine;
    datapath.watch((disturbance) => mine.push(disturbance));
    await datapath.ensure(plan);
    await settle();
    expect(heard).toEqual([]);
  });

  test.each<[string, () => void]>([
    ['deleted', () => datapath.deleteLink(places.client, 'nsm-1')],
    ['deleted at the other end', () => datapath.deleteLink(places.endpoint, 'nse-1')],
    ['set down', () => datapath.takeDown(places.client, 'nsm-1')],
    ['renamed', () => datapath.renameLink(places.endpoint, 'nse-1', 'mine')],
  ])('is told once when a link is %s, and ensuring the plan repairs it', async (_what, act) => {
    const before = datapath.show(places);
    act();
    await settle();
    expect(heard).toEqual([{ id: plan.id, cause: 'link' }]);
    expect(await datapath.ensure(plan, plan)).not.toMatchObject({ change: 'none' });
    expect(datapath.show(places)).toEqual(before);
    await settle();
    expect(await datapath.ensure(plan, plan)).toMatchObject({ change: 'none' });
  });

  test('keeps a link that was renamed: it is the same one afterwards', async () => {
    datapath.renameLink(places.client, 'nsm-1', 'mine');
    expect(await datapath.ensure(plan, plan)).toMatchObject({ change: 'adjusted' });
    expect(datapath.operations.filter((op) => op === 'add-veth')).toHaveLength(1);
  });

  test('is not told of what was asked for', async () => {
    const smaller = localPlan(places, {
      name: 'eth9',
      context: context(['172.16.1.1/32'], ['172.16.1.0/32'], { mtu: 1400 }),
    });
    await datapath.ensure(smaller, plan);
    await datapath.remove(smaller);
    await settle();
    expect(heard).toEqual([]);
  });

  test('is told of the end of a namespace, for both kinds of wires in it', async () => {
    // Both have the same interface name, and so not the same namespace.
    const remote = remotePlan('client', places.endpoint, { id: 'far' });
    await datapath.ensure(remote);
    datapath.removeNetns(places.endpoint);
    const netns = places.endpoint;
    expect(heard).toContainEqual({ id: 'far', cause: 'namespace', netns });
    expect(heard).toContainEqual({ id: plan.id, cause: 'namespace', netns });
  });

  test('is told of every wire when events were lost', () => {
    const told: Disturbance[] = [];
    const watch = createWatch({ onDisturbed: (each) => told.push(each), soon: (act) => act() });
    watch.expect(plan, {});
    watch.expect({ ...plan, id: 'c2' }, {});
    watch.forget('c2');
    watch.hear({ event: 'lost' });
    expect(told).toEqual([{ id: plan.id, cause: 'lost' }]);
  });
});
