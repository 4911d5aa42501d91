import { describe, expect, test } from '@jest/globals';
import { Connection } from '@nsm/proto';
import { checkConnection, checkRequest } from './check-request.ts';
import { kernel } from './testing.ts';

type Partially = Parameters<typeof Connection.fromPartial>[0];
const check = (connection: Partially, preferences = [kernel()]) =>
  checkRequest(
    Connection.fromPartial({ id: 'a', networkService: 'svc', ...connection }),
    preferences,
    64,
  );
const ip = (ipContext: object): Partially => ({ context: { ipContext } });
const segments = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ name: `n${i}`, id: String(i) }));

describe('a request', () => {
  test('as clients send it passes', () => {
    check({
      labels: { app: 'x' },
      payload: 'IP',
      path: { index: 0, pathSegments: segments(6) },
      ...ip({
        srcIpAddrs: ['10.0.0.1/32'],
        dstIpAddrs: ['10.0.0.2/32'],
        excludedPrefixes: ['10.0.0.0/8', '10.1.0.0/16'],
      }),
    });
  });

  test.each<[string, Partially]>([
    ['connection.network_service', { networkService: '' }],
    ['connection.network_service', { networkService: 'a\0b' }],
    ['connection.network_service', { networkService: '../etc/passwd' }],
    ['connection.network_service', { networkService: 'x'.repeat(254) }],
    ['connection.id', { id: 'a/../b' }],
    ['connection.payload', { payload: 'TOKEN_RING' }],
    ['connection.path.index', { path: { index: 7, pathSegments: segments(2) } }],
    [
      'connection.path.path_segments[1].name',
      { path: { index: 0, pathSegments: [{ name: 'a' }, { name: '\0' }] } },
    ],
    [
      'connection.labels',
      { labels: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, ''])) },
    ],
    ['connection.labels["k"]', { labels: { k: 'x'.repeat(4_194_304) } }],
    [
      'connection.mechanism.parameters["name"]',
      { mechanism: kernel({ name: 'sixteen-bytes-xx' }) },
    ],
    ['connection.mechanism.parameters["name"]', { mechanism: kernel({ name: 'a/b' }) }],
    ['connection.mechanism.parameters["name"]', { mechanism: kernel({ name: '..' }) }],
    [
      'connection.mechanism.parameters["inodeURL"]',
      { mechanism: kernel({ inodeURL: 'inode://4/x' }) },
    ],
    ['connection.context.MTU', { context: { MTU: 12 } }],
    [
      'connection.context.ethernet_context.src_mac',
      { context: { ethernetContext: { srcMac: 'zz' } } },
    ],
    ['connection.context.ip_context.src_ip_addrs[0]', ip({ srcIpAddrs: ['10.0.0.1'] })],
    [
      'connection.context.ip_context.src_ip_addrs[0]',
      ip({ srcIpAddrs: ['10.0.0.1/32'], dstIpAddrs: ['10.0.0.1/32'] }),
    ],
    [
      'connection.context.ip_context.src_routes[1]',
      ip({
        srcRoutes: [
          { prefix: '10.0.0.0/8', nextHop: '10.0.0.1' },
          { prefix: '10.0.0.0/8', nextHop: '10.0.0.2' },
        ],
      }),
    ],
    [
      'connection.context.ip_context.dst_routes[0].nextHop',
      ip({ dstRoutes: [{ prefix: '10.0.0.0/8', nextHop: 'gw' }] }),
    ],
    [
      'connection.context.ip_context.excluded_prefixes[0]',
      ip({ excludedPrefixes: ['10.0.0.0/33'] }),
    ],
    [
      'connection.context.ip_context.ip_neighbors[0].hardware_address',
      ip({ ipNeighbors: [{ ip: '10.0.0.1', hardwareAddress: '' }] }),
    ],
    ['connection.context.ip_context.policies[0].from', ip({ policies: [{ from: '10.0.0.1' }] })],
    ['connection.context.ip_context.policies[1].proto', ip({ policies: [{}, { proto: '256' }] })],
    ['connection.context.ip_context.policies[0].dst_port', ip({ policies: [{ dstPort: 'http' }] })],
    ['connection.context.ip_context.policies[0].src_port', ip({ policies: [{ srcPort: '0' }] })],
    [
      'connection.context.ip_context.policies[0].routes[0].prefix',
      ip({ policies: [{ routes: [{ prefix: '' }] }] }),
    ],
    [
      'connection.context.ip_context.policies[0].routes[0].nextHop',
      ip({ policies: [{ routes: [{ prefix: '10.0.0.0/8', nextHop: '1' }] }] }),
    ],
    [
      'connection.context.ip_context.policies[0].routes[0]',
      ip({ policies: [{ routes: [{ prefix: '10.0.0.0/8', nextHop: 'fd00::1' }] }] }),
    ],
  ])('with a bad %s is refused by that name', (field, connection) => {
    expect(() => check(connection)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringContaining(field) as unknown,
      }),
    );
  });

  test('with too many or hostile preferences is refused', () => {
    expect(() =>
      check(
        {},
        Array.from({ length: 33 }, () => kernel()),
      ),
    ).toThrow('mechanism_preferences: 33 entries');
    expect(() => check({}, [kernel({ name: '0123456789abcdef' })])).toThrow(
      'mechanism_preferences[0].parameters["name"]',
    );
  });
});

test('a path of more segments than allowed exhausts the limit', () => {
  const path = { index: 0, pathSegments: segments(9) };
  const long = Connection.fromPartial({ id: 'a', path });
  checkConnection(long, 9);
  expect(() => checkConnection(long, 8)).toThrow('path_segments: 9 segments; at most 8');
  expect(() => check({ path: { index: 0, pathSegments: segments(10_000) } })).toThrow(
    expect.objectContaining({ code: 'exhausted', limit: 'path' }),
  );
});

describe('a close', () => {
  test('needs no more than an id', () => {
    checkConnection(Connection.fromPartial({ id: 'a' }), 64);
  });

  test('is checked as a request is', () => {
    expect(() => checkConnection(Connection.fromPartial({ id: 'a/../b' }), 64)).toThrow(
      'connection.id',
    );
  });
});
