import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  bridgeAdd,
  deleteNetns,
  findNetns,
  getLink,
  linkDelete,
  linkSet,
  netnsOf,
  routeReplace,
  withRtnetlink,
} from '@nsm/netlink';
import { createDatapath } from '../datapath.ts';
import type { Plan } from '../plan.ts';
import { context, localPlan } from '../testing.ts';
import { onStage } from './testing.ts';

const stage = onStage();
const { path, links, indexOf, show, echo, reaped } = stage;

describe('a wire that something happens to', () => {
  test('is made anew when an end was deleted, and found when the workload renamed it', async () => {
    const plan = localPlan(stage.places);
    await stage.datapath.ensure(plan);
    withRtnetlink(path('client'), (rtnetlink) =>
      rtnetlink.request([linkDelete(getLink(rtnetlink, 'nsm-1')!)]),
    );
    await stage.datapath.ensure(plan, plan);
    expect((await echo('172.16.1.0')).received).toBe(1);
    withRtnetlink(path('client'), (rtnetlink) =>
      rtnetlink.request([linkSet(getLink(rtnetlink, 'nsm-1')!, { name: 'mine' })]),
    );
    await stage.datapath.remove(plan);
    await reaped('client', 'endpoint');
  });

  test('gets back what a change of MAC or an interface that was taken down loses', async () => {
    const addresses = context(['172.16.1.1/32', 'fd00::1/128'], ['172.16.1.0/32', 'fd00::/128']);
    const was = localPlan(stage.places, { context: addresses });
    const ethernetContext = { srcMac: '02:00:00:00:00:01', dstMac: '02:00:00:00:00:02' };
    const plan = localPlan(stage.places, { context: { ...addresses, ethernetContext } });
    await stage.datapath.ensure(was);
    await stage.datapath.ensure(plan, was);
    const shown = show();
    expect(shown).toHaveLength(16);
    withRtnetlink(path('client'), (rtnetlink) =>
      rtnetlink.request([linkSet(getLink(rtnetlink, 'nsm-1')!, { up: false })]),
    );
    await stage.datapath.ensure(plan, plan);
    expect(show()).toEqual(shown);
    for (const dst of ['172.16.1.0', 'fd00::']) expect((await echo(dst)).received).toBe(1);
  });

  test('is refused where the name is taken, whoever has it', async () => {
    withRtnetlink(path('endpoint'), (rtnetlink) =>
      rtnetlink.request([bridgeAdd({ name: 'nse-1' })]),
    );
    const index = indexOf('endpoint', 'nse-1');
    await expect(stage.datapath.ensure(localPlan(stage.places))).rejects.toMatchObject({
      name: 'DatapathError',
      code: 'EEXIST',
      operation: `ip -n ${stage.places.endpoint} link add nse-1`,
      message: expect.stringContaining(
        'there is a bridge link of that name already, not of the mesh',
      ),
    });
    expect(links('client')).toEqual(['lo']);
    await stage.datapath.remove(localPlan(stage.places));
    expect(indexOf('endpoint', 'nse-1')).toBe(index);
  });

  test('is undone when its programming fails half way', async () => {
    const policies = [{ from: '', proto: '6', dstPort: '80', srcPort: '', routes: [] }];
    const plan = localPlan(stage.places, {
      context: context(['172.16.1.1/32'], ['172.16.1.0/32'], { policies }),
    });
    const text = JSON.stringify(plan).replace(
      '"to":"172.16.1.1/32","scope"',
      '"to":"172.16.1.1/32","via":"192.0.2.1","scope"',
    );
    await expect(stage.datapath.ensure(JSON.parse(text) as Plan)).rejects.toMatchObject({
      name: 'DatapathError',
    });
    expect([links('client'), links('endpoint')]).toEqual([['lo'], ['lo']]);
    expect((await stage.datapath.census()).rules[stage.places.client]).toBeUndefined();
  });

  test('leaves no rule of a policy when its link was deleted, whoever removes it then', async () => {
    const policies = [{ from: '', proto: '6', dstPort: '80', srcPort: '', routes: [] }];
    const plan = localPlan(stage.places, {
      context: context(['172.16.1.1/32'], ['172.16.1.0/32'], { policies }),
    });
    const deleteLink = (): void =>
      withRtnetlink(path('client'), (rtnetlink) =>
        rtnetlink.request([linkDelete(getLink(rtnetlink, 'nsm-1')!)]),
      );
    await stage.datapath.ensure(plan);
    deleteLink();
    await stage.datapath.ensure(plan, plan);
    expect((await stage.datapath.census()).rules[stage.places.client]).toBe(1);
    // Another wire of the namespace: its reaper takes what is left.
    const other = localPlan(stage.places, { id: 'c2', name: 'nsm-2' });
    deleteLink();
    await stage.datapath.ensure(other);
    expect((await stage.datapath.census()).rules[stage.places.client]).toBe(1);
    await stage.datapath.remove(other);
    await stage.datapath.close();
    stage.datapath = createDatapath();
    expect((await stage.datapath.census()).rules[stage.places.client]).toBeUndefined();
    await reaped('client', 'endpoint');
  });

  test('names the namespace that is gone, and removing it there is no error', async () => {
    const plan = localPlan(stage.places);
    await stage.datapath.ensure(plan);
    deleteNetns(path('endpoint'));
    await expect(stage.datapath.remove(plan)).resolves.toBeUndefined();
    await expect(stage.datapath.ensure(plan)).rejects.toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining(`network namespace ${stage.places.endpoint} not found`),
    });
    await reaped('client');
  });

  test('keeps no namespace alive', async () => {
    const plan = localPlan(stage.places);
    await stage.datapath.ensure(plan);
    await stage.datapath.ensure(plan, plan);
    deleteNetns(path('client'));
    for (let i = 0; i < 100 && links('endpoint').length > 1; i += 1) await sleep(20);
    expect(links('endpoint')).toEqual(['lo']);
    expect(() => closeSync(findNetns(netnsOf(path('endpoint'))).fd)).not.toThrow();
  });
});

test('a node that is not there is named', async () => {
  const lost = createDatapath({ node: path('nowhere') });
  await expect(lost.ensure(localPlan(stage.places))).rejects.toThrow('the kernel thread died');
  await lost.close();
});

test('a default route of the pod is replaced only by a default route of the wire', async () => {
  withRtnetlink(path('client'), (rtnetlink) => {
    rtnetlink.request([bridgeAdd({ name: 'eth0', index: 7, up: true })]);
    rtnetlink.request([
      addressReplace(7, parsePrefix('10.9.0.2/24')),
      routeReplace(7, { to: parsePrefix('10.0.0.0/8') }),
    ]);
  });
  await stage.datapath.ensure(localPlan(stage.places));
  expect(show()).toContain('ip -n client route add 10.0.0.0/8 dev eth0');
});
