import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  bridgeAdd,
  createNetns,
  deleteNetns,
  findNetns,
  formatNetns,
  getLink,
  linkDelete,
  linkSet,
  listLinks,
  netnsOf,
  openNetns,
  ping,
  type PingResult,
  routeReplace,
  vethAdd,
  withRtnetlink,
  writeSysctl,
} from '@nsm/netlink';
import { createDatapath, type Datapath } from './datapath.ts';
import { createNetlinkKernel } from './netlink-kernel.ts';
import type { Plan } from './plan.ts';
import { createReconciler } from './reconcile.ts';
import { showNamespaces } from './show.ts';
import { context, localPlan, type Places, remotePlan, transitions } from './testing.ts';
import { closeSync } from 'node:fs';

let directory: string;
let made: string[];
let places: Places;
let datapath: Datapath;

const path = (name: string): string => join(directory, name);

function makeNetns(name: string): string {
  createNetns(path(name));
  made.push(name);
  return formatNetns(netnsOf(path(name)));
}

const dropNetns = (name: string): void => deleteNetns(path(name));
const links = (name: string): string[] =>
  withRtnetlink(path(name), (rtnetlink) => listLinks(rtnetlink).map((link) => link.name));
const indexOf = (name: string, dev: string): number | undefined =>
  withRtnetlink(path(name), (rtnetlink) => getLink(rtnetlink, dev)?.index);
const show = (): string[] =>
  showNamespaces(createNetlinkKernel(), { client: places.client, endpoint: places.endpoint });
const echo = (dst: string, from = 'client', more = {}): Promise<PingResult> =>
  ping({ netns: path(from), dst, timeoutMs: 3000, ...more });

/** Waits until nothing is left in a namespace but loopback. */
async function reaped(...names: string[]): Promise<void> {
  for (let i = 0; i < 200 && names.some((name) => links(name).length > 1); i += 1) await sleep(20);
  for (const name of names) expect(links(name)).toEqual(['lo']);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-datapath-'));
  made = [];
  places = { client: makeNetns('client'), endpoint: makeNetns('endpoint') };
  datapath = createDatapath();
});

afterEach(async () => {
  await datapath.close();
  for (const name of made) dropNetns(name);
  rmSync(directory, { recursive: true });
});

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
    const plan = localPlan(places, { context: carried });
    await datapath.ensure(plan);
    for (const dst of peers)
      expect({ dst, ...(await echo(dst)) }).toMatchObject({
        dst,
        sent: 1,
        received: 1,
        errors: [],
      });
    await datapath.remove(plan);
    expect(indexOf('client', 'nsm-1')).toBeUndefined();
    expect((await echo(peers[0]!, 'client', { timeoutMs: 20 })).received).toBe(0);
    await reaped('client', 'endpoint');
  });

  test('passes the table of transitions like the kernel in memory, with one link from beginning to end', async () => {
    let was: Plan | undefined;
    let first: number | undefined;
    for (const { name, plan, want } of transitions) {
      const now = plan(places);
      await datapath.ensure(now, was);
      expect({ name, shown: show() }).toEqual({ name, shown: want });
      await datapath.ensure(now, now);
      // Without the old plan, as after a restart.
      await datapath.ensure(now);
      expect({ name, shown: show() }).toEqual({ name, shown: want });
      const index = indexOf('client', want[0]!.split(' ')[5]!);
      expect(index).toBe((first ??= index));
      was = now;
    }
    await datapath.remove(was!);
    await datapath.remove(was!);
    await reaped('client', 'endpoint');
  });

  test('is adopted by the next process, packets and all', async () => {
    await datapath.ensure(localPlan(places));
    await datapath.close();
    const index = indexOf('client', 'nsm-1');
    datapath = createDatapath();
    const running = echo('172.16.1.0', 'client', { count: 20, intervalMs: 5 });
    const changed = localPlan(places, {
      context: context(['172.16.1.1/32'], ['172.16.1.0/32', '172.16.1.4/32']),
    });
    await datapath.ensure(changed);
    expect(await running).toMatchObject({ sent: 20, received: 20 });
    expect(indexOf('client', 'nsm-1')).toBe(index);
    expect((await echo('172.16.1.4')).received).toBe(1);
    expect((await datapath.census()).links.filter(({ netns }) => netns === places.client)).toEqual([
      { netns: places.client, name: 'nsm-1', index, kind: 'veth', id: 'c1', side: 'client' },
    ]);
  });

  test('comes where IPv6 is switched off for new interfaces', async () => {
    for (const name of ['client', 'endpoint'])
      writeSysctl(path(name), 'net/ipv6/conf/default/disable_ipv6', '1');
    await datapath.ensure(localPlan(places, { context: context(['fd00::1/128'], ['fd00::/128']) }));
    expect(await echo('fd00::')).toMatchObject({ received: 1, errors: [] });
  });

  test('is made anew when an end was deleted, and found when the workload renamed it', async () => {
    const plan = localPlan(places);
    await datapath.ensure(plan);
    withRtnetlink(path('client'), (rtnetlink) =>
      rtnetlink.request([linkDelete(getLink(rtnetlink, 'nsm-1')!)]),
    );
    await datapath.ensure(plan, plan);
    expect((await echo('172.16.1.0')).received).toBe(1);
    withRtnetlink(path('client'), (rtnetlink) =>
      rtnetlink.request([linkSet(getLink(rtnetlink, 'nsm-1')!, { name: 'mine' })]),
    );
    await datapath.remove(plan);
    await reaped('client', 'endpoint');
  });

  test('gets back what a change of MAC or an interface that was taken down loses', async () => {
    const addresses = context(['172.16.1.1/32', 'fd00::1/128'], ['172.16.1.0/32', 'fd00::/128']);
    const was = localPlan(places, { context: addresses });
    const ethernetContext = { srcMac: '02:00:00:00:00:01', dstMac: '02:00:00:00:00:02' };
    const plan = localPlan(places, { context: { ...addresses, ethernetContext } });
    await datapath.ensure(was);
    await datapath.ensure(plan, was);
    const shown = show();
    expect(shown).toHaveLength(16);
    withRtnetlink(path('client'), (rtnetlink) =>
      rtnetlink.request([linkSet(getLink(rtnetlink, 'nsm-1')!, { up: false })]),
    );
    await datapath.ensure(plan, plan);
    expect(show()).toEqual(shown);
    for (const dst of ['172.16.1.0', 'fd00::']) expect((await echo(dst)).received).toBe(1);
  });

  test('is refused where the name is taken, whoever has it', async () => {
    withRtnetlink(path('endpoint'), (rtnetlink) =>
      rtnetlink.request([bridgeAdd({ name: 'nse-1' })]),
    );
    const index = indexOf('endpoint', 'nse-1');
    await expect(datapath.ensure(localPlan(places))).rejects.toMatchObject({
      name: 'DatapathError',
      code: 'EEXIST',
      operation: `ip -n ${places.endpoint} link add nse-1`,
      message: expect.stringContaining(
        'there is a bridge link of that name already, not of the mesh',
      ),
    });
    expect(links('client')).toEqual(['lo']);
    await datapath.remove(localPlan(places));
    expect(indexOf('endpoint', 'nse-1')).toBe(index);
  });

  test('is undone when its programming fails half way', async () => {
    const policies = [{ from: '', proto: '6', dstPort: '80', srcPort: '', routes: [] }];
    const plan = localPlan(places, {
      context: context(['172.16.1.1/32'], ['172.16.1.0/32'], { policies }),
    });
    const text = JSON.stringify(plan).replace(
      '"to":"172.16.1.1/32","scope"',
      '"to":"172.16.1.1/32","via":"192.0.2.1","scope"',
    );
    await expect(datapath.ensure(JSON.parse(text) as Plan)).rejects.toMatchObject({
      name: 'DatapathError',
    });
    expect([links('client'), links('endpoint')]).toEqual([['lo'], ['lo']]);
    expect((await datapath.census()).rules[places.client]).toBeUndefined();
  });

  test('leaves no rule of a policy when its link was deleted, whoever removes it then', async () => {
    const policies = [{ from: '', proto: '6', dstPort: '80', srcPort: '', routes: [] }];
    const plan = localPlan(places, {
      context: context(['172.16.1.1/32'], ['172.16.1.0/32'], { policies }),
    });
    const deleteLink = (): void =>
      withRtnetlink(path('client'), (rtnetlink) =>
        rtnetlink.request([linkDelete(getLink(rtnetlink, 'nsm-1')!)]),
      );
    await datapath.ensure(plan);
    deleteLink();
    await datapath.ensure(plan, plan);
    expect((await datapath.census()).rules[places.client]).toBe(1);
    // Another wire of the namespace: its reaper takes what is left.
    const other = localPlan(places, { id: 'c2', name: 'nsm-2' });
    deleteLink();
    await datapath.ensure(other);
    expect((await datapath.census()).rules[places.client]).toBe(1);
    await datapath.remove(other);
    await datapath.close();
    datapath = createDatapath();
    expect((await datapath.census()).rules[places.client]).toBeUndefined();
    await reaped('client', 'endpoint');
  });

  test('names the namespace that is gone, and removing it there is no error', async () => {
    const plan = localPlan(places);
    await datapath.ensure(plan);
    dropNetns('endpoint');
    await expect(datapath.remove(plan)).resolves.toBeUndefined();
    await expect(datapath.ensure(plan)).rejects.toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining(`network namespace ${places.endpoint} not found`),
    });
    await reaped('client');
  });

  test('keeps no namespace alive', async () => {
    const plan = localPlan(places);
    await datapath.ensure(plan);
    await datapath.ensure(plan, plan);
    dropNetns('client');
    for (let i = 0; i < 100 && links('endpoint').length > 1; i += 1) await sleep(20);
    expect(links('endpoint')).toEqual(['lo']);
    expect(() => closeSync(findNetns(netnsOf(path('endpoint'))).fd)).not.toThrow();
  });

  test('takes the first packet to every IPv6 address, at birth and when one is added', async () => {
    const peers = Array.from({ length: 60 }, (_, i) => `fd00::${(i + 1).toString(16)}00`);
    const planOf = (count: number): Plan =>
      localPlan(places, {
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
      localPlan(places, {
        id: `c${i}`,
        name: `nsm-${i}`,
        context: context([`10.0.${i}.1/32`], [`10.0.${i}.2/32`]),
      }),
    ).map((plan, i): Plan => JSON.parse(JSON.stringify(plan).replace('nse-1', `nse-${i}`)) as Plan);
    await Promise.all(plans.map((plan) => datapath.ensure(plan)));
    expect([links('client').length, links('endpoint').length]).toEqual([201, 201]);
    expect((await echo('10.0.199.2')).received).toBe(1);
    await Promise.all(plans.map((plan) => datapath.remove(plan)));
    await datapath.close();
    await reaped('client', 'endpoint');
  });
});

describe('a tunnel', () => {
  let nodes: Datapath[];

  beforeEach(() => {
    for (const name of ['underlay', 'node-1', 'node-2']) makeNetns(name);
    withRtnetlink(path('underlay'), (rtnetlink) =>
      rtnetlink.request([bridgeAdd({ name: 'br0', index: 100, up: true })]),
    );
    for (const [i, name] of ['node-1', 'node-2'].entries()) {
      const there = openNetns(path(name));
      withRtnetlink(path('underlay'), (rtnetlink) => {
        rtnetlink.request([
          vethAdd({ name, index: 101 + i, up: true }, { name: 'eth0', index: 2, netns: there }),
        ]);
        rtnetlink.request([linkSet(101 + i, { master: 100 })]);
      });
      closeSync(there);
      const own = [`192.0.2.${i + 1}/24`, `fd01::${i + 1}/64`].map((address) =>
        addressReplace(2, parsePrefix(address)),
      );
      withRtnetlink(path(name), (rtnetlink) =>
        rtnetlink.request([linkSet(2, { up: true }), ...own]),
      );
    }
    nodes = ['node-1', 'node-2'].map((name) => createDatapath({ node: path(name) }));
  });

  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.close()));
  });

  test.each([
    ['IPv4 over IPv4', {}, 1446],
    ['IPv4 over IPv6', { src: 'fd01::1', dst: 'fd01::2' }, 1426],
  ])('carries %s up to its MTU, and its number is free again at once', async (_, tunnel, mtu) => {
    const client = remotePlan('client', places.client, tunnel);
    const endpoint = remotePlan('endpoint', places.endpoint, tunnel);
    await Promise.all([nodes[0]!.ensure(client), nodes[1]!.ensure(endpoint)]);
    expect(await echo('172.16.1.0')).toMatchObject({ received: 1, errors: [] });
    expect(
      (await echo('172.16.1.0', 'client', { size: mtu - 28, dontFragment: true })).received,
    ).toBe(1);
    expect(
      (await echo('172.16.1.0', 'client', { size: mtu - 27, dontFragment: true })).received,
    ).toBe(0);
    expect(links('node-1')).toEqual(['lo', 'eth0']);
    await nodes[0]!.ensure(client, client);
    await nodes[0]!.remove(client);
    await nodes[0]!.ensure(client);
    expect((await echo('172.16.1.0')).received).toBe(1);
    await Promise.all([nodes[0]!.remove(client), nodes[1]!.remove(endpoint)]);
    await reaped('client', 'endpoint');
  });

  test('whose number is taken is refused in the kernel’s words and leaves nothing', async () => {
    makeNetns('other');
    await nodes[0]!.ensure(remotePlan('client', places.client));
    const second = remotePlan('client', formatNetns(netnsOf(path('other'))), { id: 'second' });
    await expect(nodes[0]!.ensure(second)).rejects.toMatchObject({
      code: 'EEXIST',
      message: expect.stringMatching(
        /link add nsm-1 type vxlan id 4242 dstport 4789: File exists \(EEXIST\): .*VNI/,
      ),
    });
    expect(links('other')).toEqual(['lo']);
  });

  test('is adjusted in place', async () => {
    const plan = remotePlan('client', places.client);
    await nodes[0]!.ensure(plan);
    const index = indexOf('client', 'nsm-1');
    const changed = remotePlan('client', places.client, {
      context: context(['172.16.1.3/32'], [], { mtu: 1300 }),
    });
    await nodes[0]!.ensure(changed, plan);
    expect(show().slice(2)).toEqual(['ip -n client addr add 172.16.1.3/32 dev nsm-1']);
    expect(show()[0]).toContain(
      'mtu 1300 type vxlan id 4242 local 192.0.2.1 remote 192.0.2.2 dstport 4789',
    );
    expect(indexOf('client', 'nsm-1')).toBe(index);
  });
});

test('a node that is not there is named', async () => {
  const lost = createDatapath({ node: path('nowhere') });
  await expect(lost.ensure(localPlan(places))).rejects.toThrow('the kernel thread died');
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
  await datapath.ensure(localPlan(places));
  expect(show()).toContain('ip -n client route add 10.0.0.0/8 dev eth0');
});
