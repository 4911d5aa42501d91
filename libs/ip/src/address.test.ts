import { describe, expect, test } from '@jest/globals';
import {
  addressBytes,
  addressFromBytes,
  compareAddresses,
  formatAddress,
  parseAddress,
} from './address.ts';

const again = (text: string): string => formatAddress(parseAddress(text));

describe('an IP address', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00::', 'fd00::'],
    ['FD00:0:0:1:0:0:0:1', 'fd00:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('%s is written %s', (text, canonical) => {
    expect(again(text)).toBe(canonical);
  });

  test('mapped IPv4 is read as IPv4, as Go does', () => {
    expect(parseAddress('::ffff:10.0.0.1')).toEqual({ family: 4, value: 0x0a000001n });
    expect(again('::ffff:a00:1')).toBe('10.0.0.1');
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '10.0.0.1 ',
    '10.0.0.-1',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:2:3:4::5:6:7:8',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '1.2.3.4::',
    '::1.2.3',
  ])('%j is refused by name', (text) => {
    expect(() => parseAddress(text)).toThrow(`not an IP address: ${JSON.stringify(text)}`);
  });

  test('bytes and back', () => {
    for (const text of ['10.1.2.3', 'fd00::1:2', '::'])
      expect(formatAddress(addressFromBytes(addressBytes(parseAddress(text))))).toBe(text);
    expect([...addressBytes(parseAddress('10.1.2.3'))]).toEqual([10, 1, 2, 3]);
    expect(() => addressFromBytes(new Uint8Array(5))).toThrow(
      'not the bytes of an IP address: 5 of them',
    );
  });

  test('sorts IPv4 before IPv6, then by number', () => {
    const sorted = ['::', '10.0.0.10', 'fd00::1', '10.0.0.9']
      .map(parseAddress)
      .toSorted(compareAddresses);
    expect(sorted.map(formatAddress)).toEqual(['10.0.0.9', '10.0.0.10', '::', 'fd00::1']);
  });

  test('random IPv6 addresses survive their text', () => {
    for (let i = 0; i < 500; i += 1) {
      const groups = Array.from({ length: 8 }, () =>
        Math.random() < 0.5 ? 0 : Math.floor(Math.random() * 0x10000),
      );
      const long = groups.map((group) => group.toString(16)).join(':');
      expect(parseAddress(again(long))).toEqual(parseAddress(long));
    }
  });
});
