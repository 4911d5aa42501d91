import { describe, expect, test } from '@jest/globals';
import { createFakeDatapath, createFakeKernel } from './fake.ts';
import { context, localPlan, remotePlan, transitions } from './testing.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };

describe('reconciling', () => {
  test.each(transitions.map((row, i) => ({ ...row, before: transitions[i - 1] })))(
    '$name',
    async ({ plan, want, before }) => {
      const datapath = createFakeDatapath();
      const was = before?.plan(places);
      if (was !== undefined) await datapath.ensure(was);
      await datapath.ensure(plan(places), was);
      expect(datapath.show(places)).toEqual(want);
      const made = datapath.operations.length;
      await datapath.ensure(plan(places), plan(places));
      expect(datapath.operations).toHaveLength(made);
      expect(datapath.operations.filter((op) => op === 'add-veth')).toHaveLength(1);
    },
  );

  test.each(transitions.map((row, i) => ({ ...row, before: transitions.at(i - 1)! })))(
    'after a restart: $name',
    async ({ plan, want, before }) => {
      const kernel = createFakeKernel();
      await createFakeDatapath({ kernel }).ensure(before.plan(places));
      const restarted = createFakeDatapath({ kernel });
      await restarted.ensure(plan(places));
      expect(restarted.show(places)).toEqual(want);
      await restarted.remove(plan(places));
      await restarted.remove(plan(places));
      expect(restarted.show(places)).toEqual([]);
    },
  );

  test('puts the old wire back when a change fails', async () => {
    const datapath = createFakeDatapath();
    const was = localPlan(places);
    await datapath.ensure(was);
    const before = datapath.show(places);
    datapath.addForeign(places.client, 'eth0');
    const plan = localPlan(places, {
      name: 'eth0',
      context: context(['10.0.0.1/32'], ['10.0.0.2/32']),
    });
    await expect(datapath.ensure(plan, was)).rejects.toThrow('name eth0: File exists (EEXIST)');
    expect(datapath.show(places).filter((line) => !line.includes('eth0'))).toEqual(before);
  });

  test('brings back what a change of MAC or an interface that was taken down loses', async () => {
    const datapath = createFakeDatapath();
    const was = localPlan(places);
    const withMacs = context(['172.16.1.1/32'], ['172.16.1.0/32']);
    const plan = localPlan(places, {
      context: {
        ...withMacs,
        ethernetContext: { srcMac: '02:00:00:00:00:01', dstMac: '02:00:00:00:00:02' },
      },
    });
    await datapath.ensure(was);
    await datapath.ensure(plan, was);
    const shown = datapath.show(places);
    expect(shown).toHaveLength(10);
    datapath.takeDown(places.client, 'nsm-1');
    expect(datapath.reaches(places.client, '172.16.1.0')).toBe(false);
    await datapath.ensure(plan, plan);
    expect(datapath.show(places)).toEqual(shown);
  });

  test('makes the wire anew when a namespace changes, and only then', async () => {
    const datapath = createFakeDatapath();
    await datapath.ensure(localPlan(places));
    const moved = { ...places, client: 'inode://4/3' };
    await datapath.ensure(localPlan(moved), localPlan(places));
    expect(datapath.show({ client: places.client })).toEqual([]);
    expect(datapath.reaches(moved.client, '172.16.1.0')).toBe(true);
  });

  test('makes a wire anew that lost an end', async () => {
    const datapath = createFakeDatapath();
    const plan = localPlan(places);
    await datapath.ensure(plan);
    datapath.removeNetns(places.endpoint);
    await expect(datapath.ensure(plan, plan)).rejects.toMatchObject({ code: 'ENOENT' });
    await datapath.remove(plan);
    expect(datapath.show({ client: places.client })).toEqual([]);
  });

  test('refuses a name that somebody else has, and leaves their link alone', async () => {
    const datapath = createFakeDatapath();
    datapath.addForeign(places.client, 'nsm-1');
    const before = datapath.show(places);
    await expect(datapath.ensure(localPlan(places))).rejects.toMatchObject({
      code: 'EEXIST',
      message: expect.stringContaining(
        'link of that name already, not of the mesh; ask for another interface name',
      ),
    });
    expect(datapath.show(places)).toEqual(before);
    await datapath.remove(localPlan(places));
    expect(datapath.show(places)).toEqual(before);
  });

  test('names the connection that has the wanted name', async () => {
    const datapath = createFakeDatapath();
    await datapath.ensure(localPlan(places));
    await expect(datapath.ensure(localPlan(places, { id: 'c2' }))).rejects.toThrow(
      'marked "nsm:c1/client"',
    );
    expect((await datapath.census()).links.map(({ id, side, name }) => [id, side, name])).toEqual([
      ['c1', 'client', 'nsm-1'],
      ['c1', 'endpoint', 'nse-1'],
    ]);
  });

  test('removes what an earlier process left under another name', async () => {
    const kernel = createFakeKernel();
    await createFakeDatapath({ kernel }).ensure(localPlan(places));
    const restarted = createFakeDatapath({ kernel });
    await restarted.ensure(localPlan(places, { name: 'new' }));
    expect(restarted.show(places)).toHaveLength(10);
    expect(restarted.show(places)[0]).toContain('link add new ');
  });

  test('writes the settings of a namespace once, and again for another one', async () => {
    const datapath = createFakeDatapath();
    const other = { ...places, client: 'inode://4/3' };
    const settings = (): number => datapath.operations.filter((op) => op === 'sysctl').length;
    // One of each link, which switches IPv6 off, and one of each namespace.
    await datapath.ensure(localPlan(places));
    expect(settings()).toBe(4);
    await datapath.ensure(localPlan(places, { id: 'c2', name: 'nsm-2', peerName: 'nse-2' }));
    expect(settings()).toBe(6);
    await datapath.ensure(localPlan(other, { id: 'c3', peerName: 'nse-3' }));
    expect(settings()).toBe(9);
  });

  test('refuses when told to, once', async () => {
    const datapath = createFakeDatapath();
    datapath.failNext('ENOBUFS');
    await expect(datapath.ensure(localPlan(places))).rejects.toMatchObject({ code: 'ENOBUFS' });
    await datapath.ensure(localPlan(places));
    expect(datapath.sysctls.get(`${places.client} net/ipv4/ping_group_range`)).toBe('0 2147483647');
  });
});

describe('tunnels', () => {
  const nodes = { one: 'inode://4/10', two: 'inode://4/20' };

  test('carry packets between nodes', async () => {
    const kernel = createFakeKernel();
    const [one, two] = [nodes.one, nodes.two].map((node) => createFakeDatapath({ kernel, node }));
    await one!.ensure(remotePlan('client', places.client));
    expect(one!.reaches(places.client, '172.16.1.0')).toBe(false);
    await two!.ensure(remotePlan('endpoint', places.endpoint));
    expect(one!.reaches(places.client, '172.16.1.0')).toBe(true);
    expect(two!.reaches(places.endpoint, '172.16.1.1')).toBe(true);
  });

  test('have a number that is used once per node', async () => {
    const kernel = createFakeKernel();
    const datapath = createFakeDatapath({ kernel, node: nodes.one });
    const plan = remotePlan('client', places.client);
    await datapath.ensure(plan);
    const before = datapath.show(places);
    const second = remotePlan('client', places.endpoint, { id: 'second' });
    await expect(datapath.ensure(second)).rejects.toThrow(
      'A VXLAN device with the specified VNI already exists',
    );
    expect(datapath.show(places)).toEqual(before);
    await datapath.remove(plan);
    await datapath.ensure(second);
  });

  test('become wires and wires become tunnels', async () => {
    const datapath = createFakeDatapath();
    const wire = localPlan(places);
    const tunnel = remotePlan('client', places.client, { id: 'c1' });
    await datapath.ensure(wire);
    await datapath.ensure(tunnel, wire);
    expect(datapath.show(places).filter((line) => line.includes('link add'))).toEqual([
      expect.stringContaining(
        'mtu 1446 type vxlan id 4242 local 192.0.2.1 remote 192.0.2.2 dstport 4789',
      ),
    ]);
    await datapath.ensure(wire, tunnel);
    expect(datapath.show(places)).toEqual(transitions[0]!.want);
  });
});
