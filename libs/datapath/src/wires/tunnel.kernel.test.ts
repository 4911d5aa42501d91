import { closeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  bridgeAdd,
  formatNetns,
  linkSet,
  netnsOf,
  openNetns,
  vethAdd,
  withRtnetlink,
} from '@nsm/netlink';
import { createDatapath, type Datapath } from '../datapath.ts';
import { context, remotePlan } from '../testing.ts';
import { onStage } from './testing.ts';

const stage = onStage();
const { path, links, indexOf, show, echo, reaped, makeNetns } = stage;

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
    const client = remotePlan('client', stage.places.client, tunnel);
    const endpoint = remotePlan('endpoint', stage.places.endpoint, tunnel);
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
    await nodes[0]!.ensure(remotePlan('client', stage.places.client));
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
    const plan = remotePlan('client', stage.places.client);
    await nodes[0]!.ensure(plan);
    const index = indexOf('client', 'nsm-1');
    const changed = remotePlan('client', stage.places.client, {
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
