import { statSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '@nsm/ip';
import {
  addressDelete,
  addressReplace,
  bridgeAdd,
  createNetns,
  createNetnsFinder,
  deleteNetns,
  findNetns,
  formatNetns,
  getLink,
  inNetns,
  linkDelete,
  linkDeleteGroup,
  linkSet,
  listAddresses,
  listLinks,
  listNeighbours,
  listNetns,
  listRoutes,
  neighbourDelete,
  neighbourReplace,
  netnsOf,
  openNetns,
  parseNetns,
  readSysctl,
  routeDelete,
  routeReplace,
  vethAdd,
  withRtnetlink,
  writeSysctl,
} from './index.ts';
import { close } from './sys.ts';
import { twoNamespaces, wire } from './testing.ts';

const two = twoNamespaces();

describe('namespaces', () => {
  test('are found by device and inode, and only while they exist', () => {
    const ref = netnsOf(two.a);
    expect(parseNetns(formatNetns(ref))).toEqual(ref);
    const { fd, path } = findNetns(ref);
    close(fd);
    expect(path).toBe(two.a);
    expect(listNetns()).toContainEqual({ netns: formatNetns(ref), path: two.a });
    const finder = createNetnsFinder();
    close(finder.open(ref));
    close(finder.open(ref));
    deleteNetns(two.a);
    expect(() => finder.open(ref)).toThrow(`network namespace ${formatNetns(ref)} not found`);
    expect(listNetns().map(({ netns }) => netns)).not.toContain(formatNetns(ref));
  });

  test('are found by a descriptor of this process when nothing else knows them', () => {
    const fd = openNetns(two.a);
    const ref = netnsOf(fd);
    deleteNetns(two.a);
    const found = findNetns(ref);
    close(found.fd);
    close(fd);
    expect(found.path).toMatch(/^\/proc\/thread-self\/fd\//);
  });

  test('the thread comes back from them, also after an error', () => {
    const home = netnsOf('/proc/thread-self/ns/net');
    const there = inNetns(two.a, () => netnsOf('/proc/thread-self/ns/net'));
    expect(there).toEqual(netnsOf(two.a));
    expect(() =>
      inNetns(two.a, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(() => inNetns(two.a, async () => undefined)).toThrow('has to be synchronous');
    expect(netnsOf('/proc/thread-self/ns/net')).toEqual(home);
  });

  test('deleting one twice is fine, making one twice is not', () => {
    expect(() => createNetns(two.a)).toThrow('EEXIST');
    deleteNetns(two.a);
    deleteNetns(two.a);
    expect(() => statSync(two.a)).toThrow('ENOENT');
  });

  test('have settings of their own', () => {
    writeSysctl(two.a, 'net/ipv4/conf/all/forwarding', '1');
    expect(
      [two.a, two.b].map((netns) => readSysctl(netns, 'net/ipv4/conf/all/forwarding')),
    ).toEqual(['1', '0']);
    expect(() => writeSysctl(two.a, 'net/../kernel/hostname', 'x')).toThrow(
      'not a network setting',
    );
  });
});

describe('links', () => {
  test('a veth pair is born in two namespaces with what it was given', () => {
    const there = openNetns(two.b);
    const one = { name: 'nsm-1', index: 0x20000001, mtu: 1400, mac: '02:00:00:00:00:01', up: true };
    const other = {
      name: 'nsm-1',
      index: 0x20000002,
      mtu: 1400,
      mac: '02:00:00:00:00:02',
      netns: there,
    };
    withRtnetlink(two.a, (rtnetlink) => {
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
    withRtnetlink(two.b, (rtnetlink) => {
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
    withRtnetlink(two.a, (rtnetlink) =>
      expect(listLinks(rtnetlink).map(({ name }) => name)).toEqual(['lo']),
    );
  });

  test('are deleted by group', () => {
    withRtnetlink(two.a, (rtnetlink) => {
      rtnetlink.request(['x', 'y'].map((name) => bridgeAdd({ name, group: 9 })));
      expect(listLinks(rtnetlink)).toHaveLength(3);
      rtnetlink.request([linkDeleteGroup(9)]);
      rtnetlink.request([linkDeleteGroup(9)]);
      expect(listLinks(rtnetlink)).toHaveLength(1);
    });
  });

  test('many are listed completely', () => {
    withRtnetlink(two.a, (rtnetlink) => {
      rtnetlink.request(
        Array.from({ length: 70 }, (_, i) => bridgeAdd({ name: `br${i}`, group: 9 })),
      );
      expect(listLinks(rtnetlink)).toHaveLength(71);
      rtnetlink.request([linkDeleteGroup(9)]);
    });
  });

  test('a refusal says what was asked, in ip words, and what the kernel said', () => {
    withRtnetlink(two.a, (rtnetlink) => {
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
    const { a: index } = wire(two, { a: [], b: [] });
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
    withRtnetlink(two.a, (rtnetlink) => {
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
