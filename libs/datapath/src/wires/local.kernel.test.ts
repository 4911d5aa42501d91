import { describe, expect, test } from '@jest/globals';
import { writeSysctl } from '@nsm/netlink';
import { createDatapath } from '../datapath.ts';
import { createNetlinkKernel } from '../netlink-kernel.ts';
import type { Plan } from '../plan.ts';
import { createReconciler } from '../reconcile.ts';
import { context, localPlan, transitions } from '../testing.ts';
import { onStage } from './testing.ts';

const stage = onStage();
const { path, links, indexOf, show, echo, reaped } = stage;

describe('a local wire', () => {
  test.each([
    ['IPv4', context(['172.16.1.1/32'], ['172.16.1.0/32']), ['172.16.1.0']],
    ['IPv6', context(['fd00::1/128'], ['fd00::/128']), ['fd00::']],
    [
      'both',
      context(['172.16.1.1/32', 'fd00::1/128'], ['172.16.1.0/32', 'fd00::/128']),
      ['172.16.1.0', 'fd00::'],
    ],
    [
      'both in subnets',
      context(['10.0.0.2/24', 'fd00::2/64'], ['10.0.0.1/24', 'fd00::1/64']),
      ['10.0.0.1', 'fd00::1'],
    ],
  ])('carries %s and is gone without a trace', async (_, carried, peers) => {
    const plan = localPlan(stage.places, { context: carried });
    await stage.datapath.ensure(plan);
    for (const dst of peers)
      expect({ dst, ...(await echo(dst)) }).toMatchObject({
        dst,
        sent: 1,
        received: 1,
        errors: [],
      });
    await stage.datapath.remove(plan);
    expect(indexOf('client', 'nsm-1')).toBeUndefined();
    expect((await echo(peers[0]!, 'client', { timeoutMs: 20 })).received).toBe(0);
    await reaped('client', 'endpoint');
  });

  test('passes the table of transitions like the kernel in memory, with one link from beginning to end', async () => {
    let was: Plan | undefined;
    let first: number | undefined;
    for (const { name, plan, want } of transitions) {
      const now = plan(stage.places);
      await stage.datapath.ensure(now, was);
      expect({ name, shown: show() }).toEqual({ name, shown: want });
      await stage.datapath.ensure(now, now);
      // Without the old plan, as after a restart.
      await stage.datapath.ensure(now);
      expect({ name, shown: show() }).toEqual({ name, shown: want });
      const index = indexOf('client', want[0]!.split(' ')[5]!);
      expect(index).toBe((first ??= index));
      was = now;
    }
    await stage.datapath.remove(was!);
    await stage.datapath.remove(was!);
    await reaped('client', 'endpoint');
  });

  test('is adopted by the next process, packets and all', async () => {
    await stage.datapath.ensure(localPlan(stage.places));
    await stage.datapath.close();
    const index = indexOf('client', 'nsm-1');
    stage.datapath = createDatapath();
    const running = echo('172.16.1.0', 'client', { count: 20, intervalMs: 5 });
    const changed = localPlan(stage.places, {
      context: context(['172.16.1.1/32'], ['172.16.1.0/32', '172.16.1.4/32']),
    });
    await stage.datapath.ensure(changed);
    expect(await running).toMatchObject({ sent: 20, received: 20 });
    expect(indexOf('client', 'nsm-1')).toBe(index);
    expect((await echo('172.16.1.4')).received).toBe(1);
    expect(
      (await stage.datapath.census()).links.filter(({ netns }) => netns === stage.places.client),
    ).toEqual([
      { netns: stage.places.client, name: 'nsm-1', index, kind: 'veth', id: 'c1', side: 'client' },
    ]);
  });

  test('comes where IPv6 is switched off for new interfaces', async () => {
    for (const name of ['client', 'endpoint'])
      writeSysctl(path(name), 'net/ipv6/conf/default/disable_ipv6', '1');
    await stage.datapath.ensure(
      localPlan(stage.places, { context: context(['fd00::1/128'], ['fd00::/128']) }),
    );
    expect(await echo('fd00::')).toMatchObject({ received: 1, errors: [] });
  });

  test('takes the first packet to every IPv6 address, at birth and when one is added', async () => {
    const peers = Array.from({ length: 60 }, (_, i) => `fd00::${(i + 1).toString(16)}00`);
    const planOf = (count: number): Plan =>
      localPlan(stage.places, {
        context: context(
          ['fd00::1/64'],
          peers.slice(0, count).map((peer) => `${peer}/128`),
        ),
      });
    // In this thread: what comes between two threads would give the kernel time.
    const reconciler = createReconciler(createNetlinkKernel(), () => undefined);
    let was: Plan | undefined;
    for (const [i, dst] of peers.entries()) {
      const plan = planOf(i + 1);
      reconciler.ensure(plan, was);
      expect({ dst, ...(await echo(dst, 'client', { timeoutMs: 500 })) }).toMatchObject({
        dst,
        received: 1,
      });
      was = plan;
    }
  });

  test('is one of 200 that come and go and leave nothing', async () => {
    const plans = Array.from({ length: 200 }, (_, i) =>
      localPlan(stage.places, {
        id: `c${i}`,
        name: `nsm-${i}`,
        context: context([`10.0.${i}.1/32`], [`10.0.${i}.2/32`]),
      }),
    ).map((plan, i): Plan => JSON.parse(JSON.stringify(plan).replace('nse-1', `nse-${i}`)) as Plan);
    await Promise.all(plans.map((plan) => stage.datapath.ensure(plan)));
    expect([links('client').length, links('endpoint').length]).toEqual([201, 201]);
    expect((await echo('10.0.199.2')).received).toBe(1);
    await Promise.all(plans.map((plan) => stage.datapath.remove(plan)));
    await stage.datapath.close();
    await reaped('client', 'endpoint');
  });
});
