import { closeSync, mkdtempSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  addressReplace,
  createNetns,
  deleteNetns,
  formatNetns,
  getLink,
  linkDelete,
  linkSet,
  listFilters,
  listLinks,
  netnsOf,
  openNetns,
  openTap,
  ping,
  vethAdd,
  withRtnetlink,
} from '@nsm/netlink';
import { parsePrefix } from '@nsm/ip';
import { createDatapath, type Datapath } from './datapath.ts';
import { context, trunkPlan, vlanPlan } from './testing.ts';

/** Nodes and pods are namespaces; the physical network is a veth pair between two nodes, or a tap that this test reads. */
let directory: string;
let made: string[];
let open: Datapath[];

const path = (name: string): string => join(directory, name);
function makeNetns(name: string): string {
  createNetns(path(name));
  made.push(name);
  return formatNetns(netnsOf(path(name)));
}
const links = (name: string): string[] =>
  withRtnetlink(path(name), (rtnetlink) =>
    listLinks(rtnetlink)
      .map((link) => link.name)
      .toSorted(),
  );
const filters = (node: string, dev: string): number[] =>
  withRtnetlink(path(node), (rtnetlink) =>
    listFilters(rtnetlink, getLink(rtnetlink, dev)!.index)
      .map(({ handle }) => handle)
      .toSorted((a, b) => a - b),
  );
function datapathOf(node: string): Datapath {
  const datapath = createDatapath({ node: path(node) });
  open.push(datapath);
  return datapath;
}
const answers = async (from: string, dst: string, timeoutMs = 3000): Promise<boolean> =>
  (await ping({ netns: path(from), dst, timeoutMs })).received > 0;

/** Joins `a` and `b` with a veth pair that is called `phys` in both. */
function physical(a: string, b: string, mtu = 1500): void {
  const there = openNetns(path(b));
  try {
    withRtnetlink(path(a), (rtnetlink) => {
      rtnetlink.request([vethAdd({ name: 'phys', mtu }, { name: 'phys', mtu, netns: there })]);
    });
  } finally {
    closeSync(there);
  }
  for (const node of [a, b])
    withRtnetlink(path(node), (rtnetlink) => {
      rtnetlink.request([linkSet(getLink(rtnetlink, 'phys')!.index, { up: true })]);
    });
}

/** Waits until a namespace has no links but these. */
async function only(name: string, ...names: string[]): Promise<void> {
  for (let i = 0; i < 200 && links(name).length > names.length; i += 1) await sleep(20);
  expect(links(name)).toEqual(names.toSorted());
}

/** Ethernet frames, in hexadecimal, that come out of a tap, until one passes. */
async function frameWith(fd: number, passes: (frame: Buffer) => boolean): Promise<Buffer> {
  const buffer = Buffer.alloc(4096);
  for (let i = 0; i < 500; i += 1) {
    try {
      const frame = Buffer.from(buffer.subarray(0, readSync(fd, buffer)));
      if (passes(frame)) return frame;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await sleep(5);
    }
  }
  throw new Error('no such frame');
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-vlan-'));
  [made, open] = [[], []];
});
afterEach(async () => {
  for (const datapath of open) await datapath.close();
  for (const name of made) deleteNetns(path(name));
  rmSync(directory, { recursive: true });
});

describe('a VLAN of a physical network', () => {
  test.each([
    ['IPv4', '172.16.1.1/24', '172.16.1.2/24'],
    ['IPv6', 'fd00::1/64', 'fd00::2/64'],
  ])(
    'joins clients of two nodes, and nobody of another VLAN, over %s',
    async (_family, one, two) => {
      makeNetns('n1');
      makeNetns('n2');
      physical('n1', 'n2');
      const [a, b, c] = [makeNetns('a'), makeNetns('b'), makeNetns('c')];
      const [n1, n2] = [datapathOf('n1'), datapathOf('n2')];
      const plans = [
        vlanPlan(a, 100, { id: 'a', context: context([one], []) }),
        vlanPlan(b, 100, { id: 'b', context: context([two], []) }),
        vlanPlan(c, 200, { id: 'c', context: context([two], []) }),
      ] as const;
      await n1.ensure(plans[0]);
      await n2.ensure(plans[2]);
      const far = two.split('/')[0]!;
      expect(await answers('a', far, 300)).toBe(false);
      await n2.ensure(plans[1]);
      expect(await answers('a', far)).toBe(true);
      expect(filters('n2', 'phys')).toEqual([100, 200]);

      // One goes, the other VLAN stays.
      await n2.remove(plans[1]);
      expect(filters('n2', 'phys')).toEqual([200]);
      expect(await answers('a', far, 300)).toBe(false);
      await n2.remove(plans[2]);
      await n1.remove(plans[0]);
      for (const node of ['n1', 'n2']) {
        await only(node, 'lo', 'phys');
        expect(filters(node, 'phys')).toEqual([]);
      }
      for (const pod of ['a', 'b', 'c']) await only(pod, 'lo');
    },
  );

  test('joins clients of one node too, and stays until the last of them goes', async () => {
    makeNetns('n1');
    makeNetns('n2');
    physical('n1', 'n2');
    const node = datapathOf('n1');
    const plans = ['a', 'b'].map((name, i) =>
      vlanPlan(makeNetns(name), 7, { id: name, context: context([`10.0.0.${i + 1}/24`], []) }),
    );
    for (const plan of plans) await node.ensure(plan);
    expect(await answers('a', '10.0.0.2')).toBe(true);
    const before = links('n1');
    for (const plan of plans) await node.ensure(plan, plan);
    expect(links('n1')).toEqual(before);
    await node.remove(plans[1]!);
    expect(filters('n1', 'phys')).toEqual([7]);
    await node.remove(plans[0]!);
    await only('n1', 'lo', 'phys');
  });

  test('puts the tag on the wire, after the two addresses', async () => {
    makeNetns('n1');
    const tap = openTap(path('n1'), 'phys');
    try {
      const node = datapathOf('n1');
      const plan = vlanPlan(makeNetns('a'), 1000);
      await node.ensure(plan);
      // Somebody is asked for who is not there: the question goes to all.
      const unanswered = answers('a', '172.16.1.9', 300);
      const arp = await frameWith(tap, (frame) => frame.includes(Buffer.from([172, 16, 1, 9])));
      expect(arp.toString('hex', 0, 6)).toBe('ffffffffffff');
      expect(arp.toString('hex', 12, 18)).toBe('8100' + '03e8' + '0806');
      expect(await unanswered).toBe(false);
      await node.remove(plan);
      await only('n1', 'lo', 'phys');
    } finally {
      closeSync(tap);
    }
  });

  test('takes frames without a tag for the VLAN 0, unless the link is the node’s own', async () => {
    makeNetns('n1');
    makeNetns('n2');
    physical('n1', 'n2');
    const node = datapathOf('n1');
    const plan = vlanPlan(makeNetns('a'), 0, { id: 'a', context: context(['10.0.0.1/24'], []) });
    const address = (name: string, text: string): void =>
      withRtnetlink(path(name), (rtnetlink) =>
        rtnetlink.request([addressReplace(getLink(rtnetlink, 'phys')!.index, parsePrefix(text))]),
      );
    address('n2', '10.0.0.2/24');
    await node.ensure(plan);
    expect(await answers('a', '10.0.0.2')).toBe(true);
    await node.remove(plan);
    await only('n1', 'lo', 'phys');
    address('n1', '10.0.0.3/24');
    await expect(node.ensure(plan)).rejects.toMatchObject({ code: 'EBUSY' });
    await only('n1', 'lo', 'phys');
    expect(await answers('n1', '10.0.0.2')).toBe(true);
  });

  test('is found again by another process, repaired where it was broken, and removed', async () => {
    makeNetns('n1');
    makeNetns('n2');
    physical('n1', 'n2');
    const [a, b] = [makeNetns('a'), makeNetns('b')];
    const plans = [
      vlanPlan(a, 5, { id: 'a', context: context(['10.0.0.1/24'], []) }),
      vlanPlan(b, 5, { id: 'b', context: context(['10.0.0.2/24'], []) }),
    ] as const;
    const far = datapathOf('n2');
    await far.ensure(plans[1]);
    const first = createDatapath({ node: path('n1') });
    await first.ensure(plans[0]);
    await first.close();
    const state = (): unknown =>
      withRtnetlink(path('n1'), (rtnetlink) =>
        listLinks(rtnetlink).map(({ name, index, master, up }) => ({ name, index, master, up })),
      );
    const before = state();
    const second = datapathOf('n1');
    await second.ensure(plans[0]);
    expect(state()).toEqual(before);
    expect(await answers('a', '10.0.0.2')).toBe(true);
    // Somebody deletes the bridge.
    withRtnetlink(path('n1'), (rtnetlink) => {
      const bridge = listLinks(rtnetlink).find(({ kind }) => kind === 'bridge')!;
      rtnetlink.request([linkDelete(bridge)]);
    });
    expect(await answers('a', '10.0.0.2', 300)).toBe(false);
    await second.ensure(plans[0], plans[0]);
    expect(await answers('a', '10.0.0.2')).toBe(true);
    await second.remove(plans[0]);
    await second.remove(plans[0]);
    await only('n1', 'lo', 'phys');
  });

  test('goes with the next removal when the pod of its last wire has died', async () => {
    makeNetns('n1');
    makeNetns('n2');
    physical('n1', 'n2');
    const node = datapathOf('n1');
    const dead = vlanPlan(makeNetns('a'), 5, { id: 'a' });
    await node.ensure(dead);
    deleteNetns(path('a'));
    made.splice(made.indexOf('a'), 1);
    await node.remove(dead);
    await only('n1', 'lo', 'phys');
    expect(filters('n1', 'phys')).toEqual([]);
  });

  test('a link the node does not have is named, and nothing is left', async () => {
    makeNetns('n1');
    const node = datapathOf('n1');
    const plan = vlanPlan(makeNetns('a'), 5, { network: 'eth7' });
    await expect(node.ensure(plan)).rejects.toMatchObject({
      code: 'ENODEV',
      message: expect.stringContaining('eth7') as unknown,
    });
    await only('n1', 'lo');
    await only('a', 'lo');
  });

  test('carries frames of the whole MTU, and no larger ones', async () => {
    makeNetns('n1');
    makeNetns('n2');
    physical('n1', 'n2', 1450);
    const plans = ['a', 'b'].map((name, i) =>
      vlanPlan(makeNetns(name), 9, {
        id: name,
        context: context([`10.0.0.${i + 1}/24`], [], { mtu: 1450 }),
      }),
    );
    await datapathOf('n1').ensure(plans[0]!);
    await datapathOf('n2').ensure(plans[1]!);
    const echo = { netns: path('a'), dst: '10.0.0.2', timeoutMs: 3000, dontFragment: true };
    const header = 28;
    expect((await ping({ ...echo, size: 1450 - header })).received).toBeGreaterThan(0);
    await expect(
      ping({ ...echo, size: 1451 - header }).then(({ received }) => received),
    ).resolves.toBe(0);
  });
});

describe('a trunk at the endpoint', () => {
  test('has the wires of two clients on one interface, each under its tag', async () => {
    makeNetns('n1');
    const places = [makeNetns('a'), makeNetns('b')];
    const endpoint = makeNetns('endpoint');
    const node = datapathOf('n1');
    const plans = places.map((client, i) =>
      trunkPlan({ client, endpoint }, i + 1, {
        id: `c${i}`,
        context: context(['172.16.1.1/24'], []),
      }),
    );
    for (const plan of plans) await node.ensure(plan);
    expect(links('endpoint')).toEqual(['lo', 'trunk']);
    // The endpoint takes the trunk apart by itself: here as a node whose physical link it is.
    const inside = datapathOf('endpoint');
    const pod = makeNetns('pod');
    const tagged = vlanPlan(pod, 2, {
      network: 'trunk',
      context: context(['172.16.1.2/24'], []),
    });
    await inside.ensure(tagged);
    expect(await answers('b', '172.16.1.2')).toBe(true);
    expect(await answers('a', '172.16.1.2', 300)).toBe(false);
    await inside.remove(tagged);

    await node.remove(plans[0]!);
    expect(links('endpoint')).toContain('trunk');
    await node.remove(plans[1]!);
    await only('endpoint', 'lo');
    await only('n1', 'lo');
    for (const name of ['a', 'b']) await only(name, 'lo');
  });

  test('is refused where the endpoint has another interface of that name', async () => {
    makeNetns('n1');
    const [client, endpoint] = [makeNetns('a'), makeNetns('endpoint')];
    withRtnetlink(path('endpoint'), (rtnetlink) =>
      rtnetlink.request([vethAdd({ name: 'trunk' }, { name: 'other' })]),
    );
    await expect(datapathOf('n1').ensure(trunkPlan({ client, endpoint }, 3))).rejects.toMatchObject(
      { code: 'EEXIST' },
    );
    await only('n1', 'lo');
    expect(links('endpoint')).toEqual(['lo', 'other', 'trunk']);
  });
});
