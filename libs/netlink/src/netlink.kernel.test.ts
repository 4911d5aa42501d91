import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '@nsm/ip';
import {
  addressDelete,
  addressReplace,
  awaitAddress,
  awaitLink,
  bridgeAdd,
  createNetns,
  createNetnsFinder,
  deleteNetns,
  findNetns,
  formatNetns,
  getLink,
  inNetns,
  type InstalledRule,
  linkDelete,
  linkDeleteGroup,
  linkSet,
  listAddresses,
  listAllRoutes,
  listLinks,
  listNeighbours,
  listNetns,
  listRoutes,
  listRules,
  neighbourDelete,
  neighbourReplace,
  netnsOf,
  openNetns,
  parseNetns,
  ping,
  readSysctl,
  routeDelete,
  routeReplace,
  RTPROT_NSM,
  type Rule,
  ruleAdd,
  ruleDelete,
  vethAdd,
  withRtnetlink,
  writeSysctl,
} from './index.ts';
import { close } from './sys.ts';

let directory: string;
let a: string;
let b: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-netns-'));
  [a, b] = [join(directory, 'a'), join(directory, 'b')];
  createNetns(a);
  createNetns(b);
});

afterEach(() => {
  for (const name of readdirSync(directory)) deleteNetns(join(directory, name));
  rmSync(directory, { recursive: true });
});

/** A veth pair `a0` in a, `b0` in b, both up and passing packets, with these addresses. */
function wire(addresses: { a: string[]; b: string[] }): { a: number; b: number } {
  const there = openNetns(b);
  try {
    withRtnetlink(a, (rtnetlink) =>
      rtnetlink.request([
        vethAdd({ name: 'a0', index: 1001 }, { name: 'b0', index: 1002, netns: there }),
      ]),
    );
  } finally {
    close(there);
  }
  const ends = [
    [a, 1001, addresses.a],
    [b, 1002, addresses.b],
  ] as const;
  for (const [netns, index, own] of ends)
    withRtnetlink(netns, (rtnetlink) =>
      rtnetlink.request([
        linkSet(index, { up: true }),
        ...own.map((address) => addressReplace(index, parsePrefix(address))),
      ]),
    );
  for (const [netns, index, own] of ends)
    withRtnetlink(netns, (rtnetlink) => {
      awaitLink(rtnetlink, index);
      for (const address of own) awaitAddress(rtnetlink, parsePrefix(address));
    });
  return { a: 1001, b: 1002 };
}

describe('namespaces', () => {
  test('are found by device and inode, and only while they exist', () => {
    const ref = netnsOf(a);
    expect(parseNetns(formatNetns(ref))).toEqual(ref);
    const { fd, path } = findNetns(ref);
    close(fd);
    expect(path).toBe(a);
    expect(listNetns()).toContainEqual({ netns: formatNetns(ref), path: a });
    const finder = createNetnsFinder();
    close(finder.open(ref));
    close(finder.open(ref));
    deleteNetns(a);
    expect(() => finder.open(ref)).toThrow(`network namespace ${formatNetns(ref)} not found`);
    expect(listNetns().map(({ netns }) => netns)).not.toContain(formatNetns(ref));
  });

  test('are found by a descriptor of this process when nothing else knows them', () => {
    const fd = openNetns(a);
    const ref = netnsOf(fd);
    deleteNetns(a);
    const found = findNetns(ref);
    close(found.fd);
    close(fd);
    expect(found.path).toMatch(/^\/proc\/thread-self\/fd\//);
  });

  test('the thread comes back from them, also after an error', () => {
    const home = netnsOf('/proc/thread-self/ns/net');
    const there = inNetns(a, () => netnsOf('/proc/thread-self/ns/net'));
    expect(there).toEqual(netnsOf(a));
    expect(() =>
      inNetns(a, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(() => inNetns(a, async () => undefined)).toThrow('has to be synchronous');
    expect(netnsOf('/proc/thread-self/ns/net')).toEqual(home);
  });

  test('deleting one twice is fine, making one twice is not', () => {
    expect(() => createNetns(a)).toThrow('EEXIST');
    deleteNetns(a);
    deleteNetns(a);
    expect(() => statSync(a)).toThrow('ENOENT');
  });

  test('have settings of their own', () => {
    writeSysctl(a, 'net/ipv4/conf/all/forwarding', '1');
    expect([a, b].map((netns) => readSysctl(netns, 'net/ipv4/conf/all/forwarding'))).toEqual([
      '1',
      '0',
    ]);
    expect(() => writeSysctl(a, 'net/../kernel/hostname', 'x')).toThrow('not a network setting');
  });
});

describe('links', () => {
  test('a veth pair is born in two namespaces with what it was given', () => {
    const there = openNetns(b);
    const one = { name: 'nsm-1', index: 0x20000001, mtu: 1400, mac: '02:00:00:00:00:01', up: true };
    const other = {
      name: 'nsm-1',
      index: 0x20000002,
      mtu: 1400,
      mac: '02:00:00:00:00:02',
      netns: there,
    };
    withRtnetlink(a, (rtnetlink) => {
      rtnetlink.request([
        vethAdd(one, other),
        linkSet(one.index, { alias: 'nsm:x/client', group: 7 }),
      ]);
      const { name, index, mtu, mac } = one;
      expect(getLink(rtnetlink, 'nsm-1')).toMatchObject({
        ...{
          name,
          index,
          mtu,
          mac,
          up: true,
          kind: 'veth',
          alias: 'nsm:x/client',
          group: 7,
          peer: other.index,
        },
      });
      expect(getLink(rtnetlink, one.index)?.name).toBe('nsm-1');
      expect(getLink(rtnetlink, 'other')).toBeUndefined();
    });
    close(there);
    withRtnetlink(b, (rtnetlink) => {
      expect(getLink(rtnetlink, 'nsm-1')).toMatchObject({
        index: 0x20000002,
        mac: other.mac,
        up: false,
      });
      rtnetlink.request([
        linkSet(other.index, { name: 'renamed', mtu: 1300, mac: '02:00:00:00:00:03', up: true }),
      ]);
      expect(getLink(rtnetlink, 'renamed')).toMatchObject({
        mtu: 1300,
        mac: '02:00:00:00:00:03',
        up: true,
      });
      rtnetlink.request([linkDelete(other.index), linkDelete(other.index)]);
    });
    withRtnetlink(a, (rtnetlink) =>
      expect(listLinks(rtnetlink).map(({ name }) => name)).toEqual(['lo']),
    );
  });

  test('are deleted by group', () => {
    withRtnetlink(a, (rtnetlink) => {
      rtnetlink.request(['x', 'y'].map((name) => bridgeAdd({ name, group: 9 })));
      expect(listLinks(rtnetlink)).toHaveLength(3);
      rtnetlink.request([linkDeleteGroup(9)]);
      rtnetlink.request([linkDeleteGroup(9)]);
      expect(listLinks(rtnetlink)).toHaveLength(1);
    });
  });

  test('many are listed completely', () => {
    withRtnetlink(a, (rtnetlink) => {
      rtnetlink.request(
        Array.from({ length: 70 }, (_, i) => bridgeAdd({ name: `br${i}`, group: 9 })),
      );
      expect(listLinks(rtnetlink)).toHaveLength(71);
      rtnetlink.request([linkDeleteGroup(9)]);
    });
  });

  test('a refusal says what was asked, in ip words, and what the kernel said', () => {
    withRtnetlink(a, (rtnetlink) => {
      rtnetlink.request([bridgeAdd({ name: 'x' })]);
      const add = bridgeAdd({ name: 'x' });
      expect(() => rtnetlink.request([add])).toThrow(
        'ip link add x type bridge: File exists (EEXIST)',
      );
      // The kernel goes on after an error; the first one is reported.
      const later = bridgeAdd({ name: 'y' });
      expect(() =>
        rtnetlink.request([add, addressReplace(99, parsePrefix('10.0.0.1/32')), later]),
      ).toThrow('(EEXIST)');
      expect(getLink(rtnetlink, 'y')).toBeDefined();
    });
  });
});

describe('addresses, routes and neighbours', () => {
  test('are what was asked for, once, and gone when removed', () => {
    const { a: index } = wire({ a: [], b: [] });
    const own = ['172.16.1.1/32', 'fd00::1/128'].map(parsePrefix);
    const routes = [
      { to: parsePrefix('172.16.1.0/32'), scope: 'link' } as const,
      { to: parsePrefix('0.0.0.0/0'), via: parseAddress('172.16.1.0'), onlink: true },
      { to: parsePrefix('fd00::/128') },
      { to: parsePrefix('2001:db8::/32'), via: parseAddress('fd00::'), onlink: true },
    ];
    const mac = '02:00:00:00:00:0a';
    const neighbours = ['172.16.1.0', 'fd00::'].map((to) => ({
      to: parseAddress(to),
      mac,
      state: 'permanent' as const,
    }));
    const add = [
      ...own.map((address) => addressReplace(index, address)),
      ...routes.map((route) => routeReplace(index, route)),
      ...neighbours.map((neighbour) => neighbourReplace(index, neighbour)),
    ];
    withRtnetlink(a, (rtnetlink) => {
      const show = (): string[][] => [
        listAddresses(rtnetlink, index)
          .filter(({ scope }) => scope === 0)
          .map(({ address }) => formatPrefix(address)),
        listRoutes(rtnetlink, index)
          .filter(({ protocol }) => protocol === 4)
          .map(({ to, via, scope }) =>
            [formatPrefix(to), via && formatAddress(via), scope]
              .filter((word) => word !== undefined)
              .join(' '),
          )
          .toSorted(),
        listNeighbours(rtnetlink, index)
          .filter(({ state }) => state === 'permanent')
          .map(({ to }) => formatAddress(to))
          .toSorted(),
      ];
      rtnetlink.request(add);
      rtnetlink.request(add);
      expect(show()).toEqual([
        ['172.16.1.1/32', 'fd00::1/128'],
        ['0.0.0.0/0 172.16.1.0', '172.16.1.0/32 link', '2001:db8::/32 fd00::', 'fd00::/128'],
        ['172.16.1.0', 'fd00::'],
      ]);
      const remove = [
        ...neighbours.map(({ to }) => neighbourDelete(index, to)),
        ...routes.map((route) => routeDelete(index, route)),
        ...own.map((address) => addressDelete(index, address)),
      ];
      rtnetlink.request(remove);
      rtnetlink.request(remove);
      expect(show()).toEqual([[], [], []]);
    });
  });
});

describe('rules', () => {
  test('send packets to a table of their own, once, and are gone when removed', async () => {
    const { a: index } = wire({
      a: ['10.0.0.1/30', 'fd00::1/64'],
      b: ['10.0.0.2/30', 'fd00::2/64'],
    });
    const rules: Rule[] = [
      { family: 4, table: 300, priority: 30_000, ipproto: 1 },
      {
        family: 6,
        from: parsePrefix('fd00::1/128'),
        sport: { start: 1, end: 65_534 },
        dport: { start: 80, end: 80 },
        table: 0xfffffff0,
        priority: 30_001,
      },
    ];
    const via = { to: parsePrefix('0.0.0.0/0'), via: parseAddress('10.0.0.2'), onlink: true };
    const routes = [
      { ...via, table: 300 },
      { to: parsePrefix('fd07::/64'), table: 0xfffffff0 },
    ];
    withRtnetlink(b, (rtnetlink) =>
      rtnetlink.request([addressReplace(1002, parsePrefix('192.0.2.1/32'))]),
    );
    const answers = async (): Promise<number> =>
      (await ping({ netns: a, dst: '192.0.2.1', timeoutMs: 500 })).received;
    withRtnetlink(a, (rtnetlink) => {
      const ours = (): InstalledRule[] =>
        listRules(rtnetlink).filter(({ protocol }) => protocol === RTPROT_NSM);
      const add = [...routes.map((route) => routeReplace(index, route)), ...rules.map(ruleAdd)];
      rtnetlink.request(add);
      rtnetlink.request(add);
      expect(ours()).toEqual(rules.map((rule) => ({ ...rule, protocol: RTPROT_NSM })));
      expect(listRules(rtnetlink).filter(({ protocol }) => protocol === 2)).toHaveLength(5);
      expect(
        listAllRoutes(rtnetlink)
          .filter(({ table }) => table >= 300)
          .map(({ to, table }) => [formatPrefix(to), table]),
      ).toEqual([
        ['0.0.0.0/0', 300],
        ['fd07::/64', 0xfffffff0],
      ]);
      expect(listRoutes(rtnetlink, index).some(({ to }) => to.length === 0)).toBe(false);
    });
    expect(await answers()).toBe(1);
    withRtnetlink(a, (rtnetlink) => {
      const remove = [
        ...rules.map(ruleDelete),
        ...routes.map((route) => routeDelete(index, route)),
      ];
      rtnetlink.request(remove);
      rtnetlink.request(remove);
      expect(listRules(rtnetlink).some(({ protocol }) => protocol === RTPROT_NSM)).toBe(false);
      expect(listAllRoutes(rtnetlink).some(({ table }) => table >= 300)).toBe(false);
    });
    expect(await answers()).toBe(0);
  });

  test('make tables, of which one that never had a route has none', () => {
    const { a: index } = wire({ a: [], b: [] });
    withRtnetlink(a, (rtnetlink) => {
      rtnetlink.request([ruleAdd({ family: 4, table: 7, priority: 1 })]);
      expect(listRoutes(rtnetlink, index).filter(({ to }) => to.family === 4)).toEqual([]);
    });
  });

  test('that the kernel cannot have are refused in its words', () => {
    withRtnetlink(a, (rtnetlink) => {
      const dport = { start: 80, end: 65_535 };
      expect(() =>
        rtnetlink.request([ruleAdd({ family: 4, dport, table: 1, priority: 1 })]),
      ).toThrow('ip rule add dport 80-65535 table 1 priority 1: Invalid argument (EINVAL)');
    });
  });
});

describe('ping', () => {
  test.each([
    ['IPv4', '10.0.0.1/30', '10.0.0.2/30'],
    ['IPv6', 'fd00::1/64', 'fd00::2/64'],
  ])('%s is answered over a wire', async (_, one, other) => {
    wire({ a: [one], b: [other] });
    const dst = other.split('/')[0]!;
    const result = await ping({ netns: a, dst, src: one.split('/')[0]!, count: 3, intervalMs: 5 });
    expect(result).toMatchObject({ sent: 3, received: 3, errors: [] });
    const again = await ping({ netns: a, dst });
    expect(again.rttMs[0]).toBeLessThan(100);
  });

  test('names what keeps it from being sent', async () => {
    const result = await ping({ netns: a, dst: '192.0.2.1', timeoutMs: 10 });
    expect(result).toMatchObject({
      sent: 1,
      received: 0,
      errors: ['seq 1: sendto: Network is unreachable (ENETUNREACH)'],
    });
  });

  test('stops waiting at its timeout, and at once when aborted', async () => {
    wire({ a: ['10.0.0.1/30'], b: [] });
    expect(await ping({ netns: a, dst: '10.0.0.2', timeoutMs: 30 })).toMatchObject({
      sent: 1,
      received: 0,
    });
    const waiting = ping({ netns: a, dst: '10.0.0.2', timeoutMs: 60_000 }, AbortSignal.timeout(20));
    await expect(waiting).rejects.toThrow('timeout');
  });

  test('does not fragment when told so', async () => {
    wire({ a: ['10.0.0.1/30'], b: ['10.0.0.2/30'] });
    expect(await ping({ netns: a, dst: '10.0.0.2', size: 1472, dontFragment: true })).toMatchObject(
      { received: 1 },
    );
    const large = await ping({ netns: a, dst: '10.0.0.2', size: 1473, dontFragment: true });
    expect(large).toMatchObject({
      received: 0,
      errors: ['seq 1: sendto: Message too long (EMSGSIZE)'],
    });
    expect(await ping({ netns: a, dst: '10.0.0.2', size: 1473 })).toMatchObject({ received: 1 });
  });
});
