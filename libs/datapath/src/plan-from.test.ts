import { describe, expect, test } from '@jest/globals';
import { formatAlias, isMarked, parseAlias } from './alias.ts';
import { checkPlan, PlanError } from './check.ts';
import { type End, endsOf, type Plan, samePlan, sameWire } from './plan.ts';
import { planFrom, vxlanMtu } from './plan-from.ts';
import { context, localPlan, remotePlan } from './testing.ts';
import type { Wire, WirePolicy } from './wire.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };
const kernel = { type: 'KERNEL', parameters: { inodeURL: 'inode://4/1', name: 'nsm-1' } };
const vxlan = {
  type: 'VXLAN',
  parameters: { src_ip: '192.0.2.1', dst_ip: '192.0.2.2', vni: '77' },
};
const wire = (more: Partial<Wire>): Wire => ({
  ...{ id: 'c1', payload: 'IP', context: context([], []), client: kernel, underlay: { mtu: 1500 } },
  ...{ endpoint: { type: 'KERNEL', parameters: { inodeURL: 'inode://4/2', name: 'nse-1' } } },
  ...more,
});
const ends = (plan: Plan): End[] => endsOf(plan).map(({ end }) => end);
const client = (plan: Plan): End => ends(plan)[0]!;

describe('a plan', () => {
  test('gives the client the source addresses and the endpoint the destination addresses', () => {
    const [one, other] = ends(localPlan(places));
    expect([one?.addresses, other?.addresses]).toEqual([['172.16.1.1/32'], ['172.16.1.0/32']]);
    expect(one?.routes).toEqual([{ to: '172.16.1.0/32', scope: 'link' }]);
    expect(one?.neighbours).toEqual([{ to: '172.16.1.0', mac: other?.mac, state: 'permanent' }]);
    expect(other?.neighbours).toEqual([{ to: '172.16.1.1', mac: one?.mac, state: 'permanent' }]);
  });

  test('is the same every time, survives JSON, and differs per connection', () => {
    const plan = localPlan(places);
    expect(samePlan(plan, localPlan(places))).toBe(true);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(client(localPlan(places, { id: 'c2' })).mac).not.toBe(client(plan).mac);
    for (const { mac } of ends(plan)) expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
  });

  test('uses the MAC addresses of the ethernet context', () => {
    const ethernetContext = { srcMac: '0A:00:00:00:00:01', dstMac: '' };
    const plan = planFrom(wire({ context: { ...context([], []), ethernetContext } }));
    expect(client(plan).mac).toBe('0a:00:00:00:00:01');
    expect(() =>
      planFrom(
        wire({
          context: {
            ...context([], []),
            ethernetContext: { srcMac: '01:00:5e:00:00:01', dstMac: '' },
          },
        }),
      ),
    ).toThrow('context.ethernetContext.srcMac: "01:00:5e:00:00:01" is not a unicast MAC address');
  });

  test('routes to peers outside the own prefixes, and the given routes replace those', () => {
    const given = {
      srcRoutes: [
        { prefix: '172.16.1.0/32', nextHop: '' },
        { prefix: '10.9.1.1/16', nextHop: '' },
        { prefix: '10.8.0.0/16', nextHop: '172.16.1.7' },
        { prefix: 'fd01::/64', nextHop: '' },
        { prefix: '10.7.0.0/16', nextHop: '' },
        { prefix: '10.7.0.0/16', nextHop: '172.16.1.9' },
      ],
    };
    const plan = localPlan(places, {
      context: context(
        ['172.16.1.1/32', '192.168.0.2/24'],
        ['172.16.1.0/32', '192.168.0.1/32', 'fd00::/128'],
        given,
      ),
    });
    expect(client(plan).routes).toEqual([
      { to: '172.16.1.0/32' },
      { to: 'fd00::/128' },
      { to: '10.9.0.0/16', via: '172.16.1.0' },
      { to: '10.8.0.0/16', via: '172.16.1.7' },
      { to: 'fd01::/64', via: 'fd00::' },
      { to: '10.7.0.0/16', via: '172.16.1.9' },
    ]);
  });

  test('gives the client its policies, each of one family and with routes', () => {
    const policy = { from: '', proto: '', dstPort: '', srcPort: '', routes: [] };
    const policies = [
      { ...policy, from: '172.16.1.1/24', proto: '6', dstPort: '80', srcPort: '1000-2000' },
      { ...policy, from: 'fd00::1/128' },
      {
        ...policy,
        proto: '0',
        routes: [
          { prefix: '10.1.2.3/16', nextHop: '' },
          { prefix: 'fd07::/64', nextHop: 'fd00::9' },
          { prefix: '172.16.1.0/32', nextHop: '' },
        ],
      },
    ];
    const [one, other] = ends(
      localPlan(places, {
        context: context(['172.16.1.1/32'], ['172.16.1.0/32', 'fd00::/128'], { policies }),
      }),
    );
    expect(one?.policies).toEqual([
      {
        from: '172.16.1.0/24',
        proto: 6,
        srcPorts: [1000, 2000],
        dstPorts: [80, 80],
        routes: [{ to: '0.0.0.0/0', via: '172.16.1.0' }],
      },
      { from: 'fd00::1/128', routes: [{ to: '::/0', via: 'fd00::' }] },
      { routes: [{ to: '10.1.0.0/16', via: '172.16.1.0' }, { to: '172.16.1.0/32' }] },
      { routes: [{ to: 'fd07::/64', via: 'fd00::9' }] },
    ]);
    expect(other?.policies).toBeUndefined();
    expect(client(localPlan(places)).policies).toBeUndefined();
  });

  test('asks for neighbours by MAC on ETHERNET only where the context says so', () => {
    const ipNeighbors = [{ ip: '10.0.0.9', hardwareAddress: '02:00:00:00:00:AA' }];
    const plan = localPlan(places, {
      payload: 'ETHERNET',
      context: context([], ['10.0.0.2/32'], { ipNeighbors }),
    });
    expect(client(plan).neighbours).toEqual([
      { to: '10.0.0.9', mac: '02:00:00:00:00:aa', state: 'reachable' },
    ]);
  });

  test.each([
    ['IPv4 only', {}, '1'],
    ['IPv6 too', { context: context(['fd00::1/128', '10.0.0.1/32'], []) }, '0'],
    ['ETHERNET', { payload: 'ETHERNET' }, undefined],
    ['packets of who knows what', { context: context([], []) }, undefined],
  ])('switches IPv6 off where the wire carries %s, if at all', (_, wire, value) => {
    const path = 'net/ipv6/conf/nsm-1/disable_ipv6';
    const { sysctls } = client(localPlan(places, wire));
    expect(sysctls.find((sysctl) => sysctl.path === path)?.value).toBe(value);
  });

  test('lets the MTU of the context be, and sets none that was not asked for', () => {
    expect(client(localPlan(places)).mtu).toBeUndefined();
    expect(client(localPlan(places, { context: context([], [], { mtu: 1300 }) })).mtu).toBe(1300);
  });

  test('sets what the endpoint asked for on its interface only', () => {
    const parameters = { inodeURL: 'inode://4/2', name: 'nse.1', routeLocalNet: 'true' };
    const [one, other] = ends(planFrom(wire({ endpoint: { type: 'KERNEL', parameters } })));
    const group = { path: 'net/ipv4/ping_group_range', value: '0 2147483647', optional: true };
    expect(one?.sysctls).toEqual([group]);
    expect(other?.sysctls).toEqual([
      { path: 'net/ipv4/conf/nse.1/route_localnet', value: '1' },
      group,
    ]);
  });
});

describe('a tunnel', () => {
  test('starts at the source on the client’s node and at the destination on the endpoint’s', () => {
    const halves = [remotePlan('client', places.client), remotePlan('endpoint', places.endpoint)];
    expect(halves.map(({ link }) => link)).toMatchObject([
      {
        kind: 'vxlan',
        side: 'client',
        local: '192.0.2.1',
        remote: '192.0.2.2',
        vni: 4242,
        port: 4789,
      },
      {
        kind: 'vxlan',
        side: 'endpoint',
        local: '192.0.2.2',
        remote: '192.0.2.1',
        vni: 4242,
        port: 4789,
      },
    ]);
  });

  test.each([
    [{}, 0, 1446],
    [{}, 1300, 1300],
    [{}, 9000, 1446],
    [{ MTU: '1200' }, 1300, 1200],
    [{ MTU: 'x' }, 0, 1446],
    [{ src_ip: 'fd00::1', dst_ip: 'fd00::2' }, 0, 1426],
  ])('with parameters %j and a context MTU of %d has the MTU %d', (parameters, mtu, expected) => {
    const endpoint = { type: 'VXLAN', parameters: { ...vxlan.parameters, ...parameters } };
    expect(client(planFrom(wire({ endpoint, context: context([], [], { mtu }) }))).mtu).toBe(
      expected,
    );
  });

  test('never has the MTU 0', () => {
    expect(() => planFrom(wire({ endpoint: vxlan, underlay: { mtu: 0 } }))).toThrow(
      '-54 is not an MTU',
    );
    expect(vxlanMtu(9000, '10.0.0.1')).toBe(8946);
  });
});

describe('a plan is refused', () => {
  const named = (name: string): Partial<Wire> => ({
    client: { ...kernel, parameters: { ...kernel.parameters, name } },
  });
  const tunnel = (parameters: Record<string, string>): Partial<Wire> => ({
    endpoint: { ...vxlan, parameters: { ...vxlan.parameters, ...parameters } },
  });
  const policy = (more: Partial<WirePolicy>): Partial<Wire> => ({
    context: context([], [], {
      policies: [{ from: '', proto: '', dstPort: '', srcPort: '', routes: [], ...more }],
    }),
  });
  test.each<[string, Partial<Wire>, string, string]>([
    ['a mechanism is missing', { client: undefined }, 'client', 'no mechanism was agreed'],
    [
      'neither side is KERNEL',
      { client: vxlan, endpoint: vxlan },
      'mechanism',
      'VXLAN towards the client with VXLAN',
    ],
    [
      'a mechanism is unknown',
      { endpoint: { type: 'MEMIF', parameters: {} } },
      'mechanism',
      'KERNEL towards the client with MEMIF',
    ],
    ['a name is empty', named(''), 'client.name', 'has 0 bytes'],
    [
      'a name is too long',
      named('é'.repeat(8)),
      'client.name',
      'has 16 bytes: an interface name has 1 to 15',
    ],
    ['a name is a path', named('a/b'), 'client.name', 'leave out spaces, slashes and colons'],
    ['a name is ..', named('..'), 'client.name', 'is not an interface name'],
    ['a name has a space', named('a b'), 'client.name', 'is not an interface name'],
    ['a name has a NUL', named('a\0'), 'client.name', 'is not an interface name'],
    ['a name is reserved', named('nsm~1'), 'client.name', 'is reserved'],
    [
      'a namespace is a file of somebody else',
      { client: { ...kernel, parameters: { inodeURL: 'file:///proc/1/ns/net', name: 'a' } } },
      'client.netns',
      'pass the namespace',
    ],
    [
      'a VNI is 0',
      tunnel({ vni: '' }),
      'vni',
      '0 is not a VXLAN network identifier: choose one of 1 to 16777215',
    ],
    ['a VNI is too large', tunnel({ vni: '16777216' }), 'vni', '16777216 is not'],
    ['a tunnel address is missing', tunnel({ dst_ip: '' }), 'dst_ip', 'not an IP address: ""'],
    [
      'tunnel ends are of two families',
      tunnel({ dst_ip: 'fd00::1' }),
      'remote',
      'of different families',
    ],
    ['tunnel ports differ', tunnel({ src_port: '4790' }), 'dst_port', '4790 and 4789'],
    [
      'a VLAN is asked for',
      { client: { ...kernel, parameters: { ...kernel.parameters, vlan: '5' } } },
      'client.vlan',
      'VLAN 5',
    ],
    [
      'an address is none',
      { context: context(['10.0.0/8'], []) },
      'context.ipContext.srcIpAddrs[0]',
      'not an IP prefix: "10.0.0/8"',
    ],
    [
      'a route is none',
      { context: context([], [], { dstRoutes: [{ prefix: '', nextHop: '' }] }) },
      'context.ipContext.dstRoutes[0].prefix',
      'not an IP prefix: ""',
    ],
    [
      'a next hop is of another family',
      { context: context([], [], { srcRoutes: [{ prefix: '10.0.0.0/8', nextHop: 'fd00::1' }] }) },
      'context.ipContext.srcRoutes[0].nextHop',
      'both have to be of one family',
    ],
    [
      'a neighbour has no MAC',
      { context: context([], [], { ipNeighbors: [{ ip: '10.0.0.1', hardwareAddress: 'x' }] }) },
      'context.ipContext.ipNeighbors',
      'is not a unicast MAC address',
    ],
    [
      'the source of a policy is none',
      policy({ from: '10.0.0.1' }),
      'context.ipContext.policies[0].from',
      'not an IP prefix: "10.0.0.1"',
    ],
    [
      'the protocol of a policy is a name',
      policy({ proto: 'tcp' }),
      'context.ipContext.policies[0].proto',
      '"tcp" is not an IP protocol number: write 6 for TCP',
    ],
    [
      'a port of a policy is none',
      policy({ dstPort: '80,81' }),
      'context.ipContext.policies[0].dstPort',
      'port range should be in format start-end: "80,81"',
    ],
    [
      'the ports of a policy are none of the kernel’s',
      policy({ srcPort: '1-65535' }),
      'context.ipContext.policies[0].srcPort',
      'from 1 to 65534',
    ],
    [
      'the ports of a policy fall',
      policy({ srcPort: '90-80' }),
      'context.ipContext.policies[0].srcPort',
      'it has to rise',
    ],
    [
      'a policy is from one family to another',
      policy({ from: '10.0.0.1/32', routes: [{ prefix: 'fd00::/64', nextHop: '' }] }),
      'context.ipContext.policies[0].routes',
      'fd00::/64 is no destination of packets from 10.0.0.1/32',
    ],
    [
      'the MTU is too small for IPv6',
      { context: context(['fd00::1/128'], [], { mtu: 1000 }) },
      'context.MTU',
      'too small for IPv6',
    ],
    [
      'the MTU is too small for anything',
      { context: context([], [], { mtu: 20 }) },
      'client.mtu',
      '20 is not an MTU',
    ],
    ['the id is empty', { id: '' }, 'id', 'is not a connection id'],
    ['the id does not fit an alias', { id: 'x'.repeat(250) }, 'id', 'longer than the 255 bytes'],
    [
      'both ends are one interface',
      { endpoint: kernel },
      'endpoint.name',
      'both ends are in inode://4/1 and named nsm-1',
    ],
  ])('when %s', (_, more, field, text) => {
    expect(() => planFrom(wire(more))).toThrow(PlanError);
    expect(() => planFrom(wire(more))).toThrow(
      expect.objectContaining({ field, message: expect.stringContaining(text) }),
    );
  });

  test('when it was made by hand and is not canonical', () => {
    const plan = localPlan(places);
    const bad = JSON.parse(JSON.stringify(plan).replace('172.16.1.1/32', 'FD00::1/128')) as Plan;
    expect(() => checkPlan(bad)).toThrow(
      'client.addresses: "FD00::1/128" is not canonical: write fd00::1/128',
    );
  });
});

test('a wire is the same as long as kind, namespaces and tunnel are', () => {
  const plan = localPlan(places);
  expect(sameWire(plan, localPlan(places, { name: 'other', context: context([], []) }))).toBe(true);
  expect(sameWire(plan, localPlan({ ...places, client: 'inode://4/9' }))).toBe(false);
  const tunnel = remotePlan('client', places.client);
  expect(sameWire(tunnel, remotePlan('client', places.client, { vni: '5' }))).toBe(false);
  expect(sameWire(tunnel, remotePlan('client', places.client, { context: context([], []) }))).toBe(
    true,
  );
});

test('an alias tells connection, side and owner', () => {
  for (const mark of [
    { id: 'a/b@c', side: 'client' },
    { id: 'c1', side: 'endpoint', owner: 'forwarder-1' },
  ] as const)
    expect(parseAlias(formatAlias(mark))).toEqual(mark);
  expect(parseAlias('server-c1')).toBeUndefined();
  expect(isMarked('nsm:c1/client@old', { id: 'c1', side: 'client' })).toBe(true);
  expect(isMarked('nsm:c1/endpoint', { id: 'c1', side: 'client' })).toBe(false);
});
