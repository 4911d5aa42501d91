import { describe, expect, test } from '@jest/globals';
import { formatAddress, formatPrefix, network, parseAddress, parsePrefix } from '@nsm/ip';
import { addressDelete, addressReplace, decodeAddress } from './address.ts';
import { decodeLink } from './link.ts';
import { linkDeleteGroup, linkSet, vethAdd, vxlanAdd } from './link-message.ts';
import { macBytes } from './mac.ts';
import type { Request } from './message.ts';
import { decodeNeighbour, fdbDelete, neighbourReplace } from './neighbour.ts';
import { parseNetns } from './netns-find.ts';
import { RTPROT_NSM } from './protocol.ts';
import { decodeRoute, routeDelete, routeReplace } from './route.ts';
import { decodeRule, type Rule, ruleAdd, ruleDelete } from './rule.ts';

const message = ({ type, body }: Request): Parameters<typeof decodeLink>[0] => ({
  type,
  flags: 0,
  seq: 1,
  body,
});
const random = (below: number): number => Math.floor(Math.random() * below);
const randomAddress = (): string =>
  Math.random() < 0.5
    ? Array.from({ length: 4 }, () => random(256)).join('.')
    : formatAddress(
        parseAddress(
          ['fd00', ...Array.from({ length: 7 }, () => random(65536).toString(16))].join(':'),
        ),
      );

describe('requests', () => {
  test('address: the layout of rtnetlink(7)', () => {
    const { body } = addressReplace(5, parsePrefix('172.16.1.1/32'));
    expect(body.toString('hex')).toBe(
      '02200000' + '05000000' + '08000200ac100101' + '08000100ac100101',
    );
    const six = addressReplace(5, parsePrefix('fd00::1/128')).body.toString('hex');
    expect(six.endsWith('0800080002000000')).toBe(true);
  });

  test('route: the layout of rtnetlink(7)', () => {
    const { body } = routeReplace(5, { to: parsePrefix('172.16.1.5/30'), scope: 'link' });
    expect(body.toString('hex')).toBe(
      '021e0000' + 'fe04fd01' + '00000000' + '08000100ac100104' + '0800040005000000',
    );
    const via = routeReplace(5, {
      to: parsePrefix('0.0.0.0/0'),
      via: parseAddress('10.0.0.1'),
      onlink: true,
    });
    expect(via.body.toString('hex')).toBe(
      '02000000' + 'fe040001' + '04000000' + '0800040005000000' + '080005000a000001',
    );
  });

  test('what a bridge forgets, and a link that is silent about addresses: the layout of rtnetlink(7)', () => {
    expect(fdbDelete(5, '02:00:00:00:00:0a').body.toString('hex')).toBe(
      '07000000' + '05000000' + '00000400' + '0a000200' + '02000000000a' + '0000',
    );
    expect(linkSet(5, { arp: false }).body.toString('hex')).toBe(
      '00000000' + '05000000' + '80000000' + '80000000',
    );
  });

  test('neighbour: the layout of rtnetlink(7)', () => {
    const { body } = neighbourReplace(5, {
      to: parseAddress('10.0.0.1'),
      mac: '02:00:00:00:00:0a',
      state: 'permanent',
    });
    expect(body.toString('hex')).toBe(
      '02000000' +
        '05000000' +
        '80000000' +
        '080001000a000001' +
        '0a000200' +
        '02000000000a0000' +
        '05000c004e000000',
    );
  });

  test('rule: the layout of fib_rules.h', () => {
    const { body, words } = ruleAdd({
      family: 4,
      from: parsePrefix('10.0.0.1/24'),
      ipproto: 6,
      dport: { start: 80, end: 89 },
      table: 300,
      priority: 30_000,
    });
    expect(words).toBe(
      'ip rule add from 10.0.0.0/24 ipproto 6 dport 80-89 table 300 priority 30000',
    );
    expect(body.toString('hex')).toBe(
      '02001800' +
        '00000001' +
        '00000000' +
        '080002000a000000' +
        '0500160006000000' +
        '0800180050005900' +
        '08000f002c010000' +
        '0800060030750000' +
        '050015004e000000',
    );
  });

  test('veth: the peer is described inside, with its own header', () => {
    const { body, words } = vethAdd(
      { name: 'a', index: 7, up: true },
      { name: 'b', index: 8, netns: 9, up: true },
    );
    expect(words).toBe('ip link add a type veth peer name b');
    const peer =
      '00000000' + '08000000' + '00000000' + '00000000' + '0600030062000000' + '08001c0009000000';
    expect(body.toString('hex')).toBe(
      '00000000' +
        '07000000' +
        '01000000' +
        '01000000' +
        '0600030061000000' +
        '38001280' +
        '09000100' +
        '7665746800000000' +
        '28000280' +
        '24000180' +
        peer,
    );
  });

  test('link set says what it does', () => {
    const { body, words } = linkSet({ index: 7, name: 'nsm-1' }, { up: false, alias: 'x' });
    expect(words).toBe('ip link set dev nsm-1 down alias x');
    expect(body.toString('hex')).toBe(
      '00000000' + '07000000' + '00000000' + '01000000' + '0500140078000000',
    );
    expect(linkDeleteGroup(3).body.toString('hex')).toBe(`${'0'.repeat(32)}08001b0003000000`);
  });

  test('a vxlan link reads back as it was asked for', () => {
    const tunnel = {
      vni: 77,
      port: 4790,
      local: parseAddress('10.0.0.1'),
      remote: parseAddress('10.0.0.2'),
    };
    const link = decodeLink(
      message(vxlanAdd({ name: 'v', index: 3, mtu: 1450, mac: '02:00:00:00:00:01' }, tunnel)),
    );
    expect(link).toMatchObject({
      index: 3,
      name: 'v',
      mtu: 1450,
      mac: '02:00:00:00:00:01',
      kind: 'vxlan',
      vxlan: tunnel,
    });
    const six = { ...tunnel, local: parseAddress('fd00::1'), remote: parseAddress('fd00::2') };
    expect(decodeLink(message(vxlanAdd({ name: 'v' }, six))).vxlan).toEqual(six);
  });

  test('random addresses, routes and neighbours read back as they were asked for', () => {
    for (let i = 0; i < 300; i += 1) {
      const index = random(0x7fffffff);
      const host = parseAddress(randomAddress());
      const bits = host.family === 4 ? 32 : 128;
      const prefix = { ...host, length: random(bits + 1) };
      expect(decodeAddress(message(addressReplace(index, prefix)))).toEqual({
        index,
        address: prefix,
        scope: 0,
      });
      const mac = Array.from({ length: 6 }, () => random(256).toString(16).padStart(2, '0')).join(
        ':',
      );
      const neighbour = { to: host, mac, state: 'permanent' } as const;
      expect(decodeNeighbour(message(neighbourReplace(index, neighbour)))).toEqual({
        index,
        ...neighbour,
        protocol: RTPROT_NSM,
      });
      const table = 1 + random(0xfffffffe);
      const route = decodeRoute(
        message(routeReplace(index, { to: prefix, via: host, onlink: true, table })),
      );
      expect(route).toMatchObject({ index, via: host, onlink: true, protocol: 4, type: 1, table });
      expect(routeReplace(index, { to: prefix }).words).toContain(formatPrefix(route.to));
      const rule: Rule = {
        family: host.family,
        ...(i % 2 === 0 ? { from: network(prefix) } : {}),
        ...(i % 3 === 0 ? { ipproto: 1 + random(255) } : {}),
        ...(i % 5 === 0 ? { sport: { start: 1 + random(100), end: 101 + random(60_000) } } : {}),
        ...(i % 7 === 0 ? { dport: { start: 80, end: 80 } } : {}),
        table,
        priority: random(0xffffffff),
      };
      expect(decodeRule(message(ruleAdd(rule)))).toEqual({ ...rule, protocol: RTPROT_NSM });
      expect(ruleDelete(rule).body).toEqual(ruleAdd(rule).body);
    }
  });

  test('removals accept that there is nothing to remove', () => {
    expect(addressDelete(1, parsePrefix('10.0.0.1/32')).ignore).toContain('EADDRNOTAVAIL');
    expect(routeDelete(1, { to: parsePrefix('10.0.0.0/8') }).ignore).toContain('ESRCH');
  });

  test('a bad MAC is refused by name', () => {
    expect(() => macBytes('02:00:00')).toThrow('not a MAC address: "02:00:00"');
  });
});

test('a namespace reference is inode://<dev>/<ino> in decimal and nothing else', () => {
  expect(parseNetns('inode://4/4026532178')).toEqual({ dev: 4n, ino: 4026532178n });
  for (const text of [
    'inode://4',
    'inode://4/0x1',
    'file:///proc/1/ns/net',
    'inode://4/5/6',
    '/run/netns/a',
    'inode://04/5',
  ])
    expect(parseNetns(text)).toBeUndefined();
});
