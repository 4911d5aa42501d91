import { describe, expect, test } from '@jest/globals';
import { formatAddress, parseAddress } from './address.ts';
import {
  comparePrefixes,
  contains,
  firstAddress,
  formatPrefix,
  hostPrefix,
  lastAddress,
  network,
  overlaps,
  parsePrefix,
} from './prefix.ts';

describe('an IP prefix', () => {
  test('keeps its host bits until its network is asked for', () => {
    expect(formatPrefix(parsePrefix('10.0.0.5/24'))).toBe('10.0.0.5/24');
    expect(formatPrefix(network(parsePrefix('10.0.0.5/24')))).toBe('10.0.0.0/24');
    expect(formatPrefix(network(parsePrefix('fd00::ff/124')))).toBe('fd00::f0/124');
    expect(formatPrefix(network(parsePrefix('1.2.3.4/0')))).toBe('0.0.0.0/0');
  });

  test('has a first and a last address', () => {
    const prefix = parsePrefix('10.0.0.5/30');
    expect([firstAddress(prefix), lastAddress(prefix)].map(formatAddress)).toEqual([
      '10.0.0.4',
      '10.0.0.7',
    ]);
    expect(formatAddress(lastAddress(parsePrefix('fd00::/64')))).toBe('fd00::ffff:ffff:ffff:ffff');
  });

  test('of one address is a /32 or a /128', () => {
    expect(formatPrefix(hostPrefix(parseAddress('10.0.0.1')))).toBe('10.0.0.1/32');
    expect(formatPrefix(hostPrefix(parseAddress('fd00::1')))).toBe('fd00::1/128');
  });

  test.each([
    ['10.0.0.0/24', '10.0.0.255', true],
    ['10.0.0.0/24', '10.0.1.0', false],
    ['0.0.0.0/0', '255.1.1.1', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', 'fd00::1', true],
    ['172.16.1.0/32', '172.16.1.0', true],
    ['172.16.1.0/32', '172.16.1.1', false],
  ])('%s contains %s: %s', (prefix, address, expected) => {
    expect(contains(parsePrefix(prefix), parseAddress(address))).toBe(expected);
  });

  test.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.0.0/16', '10.0.0.0/8', true],
    ['10.0.0.0/9', '10.128.0.0/9', false],
    ['::/0', '0.0.0.0/0', false],
  ])('%s overlaps %s: %s', (a, b, expected) => {
    expect(overlaps(parsePrefix(a), parsePrefix(b))).toBe(expected);
  });

  test('sorts by address, then shorter first', () => {
    const sorted = ['10.0.0.0/16', '9.0.0.0/8', '10.0.0.0/8']
      .map(parsePrefix)
      .toSorted(comparePrefixes);
    expect(sorted.map(formatPrefix)).toEqual(['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/16']);
  });

  test('of mapped IPv4 is the IPv4 prefix', () => {
    expect(formatPrefix(parsePrefix('::ffff:10.0.0.0/104'))).toBe('10.0.0.0/8');
    expect(() => parsePrefix('::ffff:10.0.0.0/64')).toThrow('not an IP prefix');
  });

  test.each([
    '10.0.0/8',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    'fd00::/129',
    '/8',
    '10.0.0.0/',
  ])('%j is refused by name', (text) => {
    expect(() => parsePrefix(text)).toThrow(`not an IP prefix: ${JSON.stringify(text)}`);
  });
});
