import { describe, expect, test } from '@jest/globals';
import { parsePolicies } from './policies-file.ts';

const none = { from: '', proto: '', dstPort: '', srcPort: '', routes: [] };

describe('the file of policy routes', () => {
  test('has upstream’s form, with numbers as text or not', () => {
    const text = `
- from: 172.16.2.201/24
  proto: 6
  dstport: 6666
- from: fd00::1/128
  proto: "17"
  srcport: 1000-2000
- routes:
    - prefix: 172.16.3.0/24
      nexthop: 172.16.2.200
    - prefix: 172.16.4.0/24
`;
    expect(parsePolicies(text)).toEqual([
      { ...none, from: '172.16.2.201/24', proto: '6', dstPort: '6666' },
      { ...none, from: 'fd00::1/128', proto: '17', srcPort: '1000-2000' },
      {
        ...none,
        routes: [
          { prefix: '172.16.3.0/24', nextHop: '172.16.2.200' },
          { prefix: '172.16.4.0/24', nextHop: '' },
        ],
      },
    ]);
    expect(parsePolicies('')).toEqual([]);
  });

  test.each([
    ['policies: []', 'the file is not a list'],
    ['- 7', '[0] is not a map'],
    [
      '- { dst_port: 80 }',
      '[0].dst_port: there is no such field; allowed are from, proto, dstport',
    ],
    ['- { from: [a] }', '[0].from is neither text nor a number'],
    ['- { from: 10.0.0.1 }', '[0].from: "10.0.0.1" is not address/length'],
    ['- { proto: tcp }', '[0].proto: "tcp" is not an IP protocol number'],
    ['- { dstport: 80-70 }', '[0].dstport: "80-70" is no range of ports'],
    ['- { srcport: 80+ }', '[0].srcport: port range should be in format start-end: "80+"'],
    ['- { routes: [{ prefix: x }] }', '[0].routes[0].prefix: "x" is not address/length'],
    [
      '- { routes: [{ prefix: 10.0.0.0/8, nexthop: gw }] }',
      '[0].routes[0].nexthop: "gw" is not an IP address',
    ],
    [
      '- { from: 10.0.0.1/32, routes: [{ prefix: "fd00::/64" }] }',
      '[0].routes[0]: fd00::/64 is of another family',
    ],
  ])('%s is refused by name', (text, why) => {
    expect(() => parsePolicies(text)).toThrow(why);
  });
});
