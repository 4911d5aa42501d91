import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { errorCodes, type NsmError } from '@nsm/rpc';
import { direct, requestFrom } from '../worlds/direct.ts';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

type Change = Parameters<typeof requestFrom>[3];
const connection = (change: NonNullable<NonNullable<Change>['connection']>): Change => ({
  connection: change,
});
const kernel = (parameters: Record<string, string>): Change => ({
  mechanismPreferences: [{ cls: 'LOCAL', type: 'KERNEL', parameters }],
});
const segments = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ name: `hop-${i}`, id: i === 0 ? 'direct-0' : `id-${i}` }));

/** What is sent, and what the refusal names. */
const hostile: [string, Change, string][] = [
  [
    'an unknown mechanism',
    { mechanismPreferences: [{ cls: 'LOCAL', type: 'CARRIER_PIGEON', parameters: {} }] },
    'CARRIER_PIGEON',
  ],
  ['no mechanism at all', { mechanismPreferences: [] }, 'mechanism_preferences is empty'],
  [
    'an interface name of 16 bytes',
    kernel({ name: '0123456789abcdef', inodeURL: 'inode://4/1' }),
    'parameters["name"]',
  ],
  [
    'an interface name with a slash',
    kernel({ name: 'a/b', inodeURL: 'inode://4/1' }),
    'parameters["name"]',
  ],
  [
    '../ in a name',
    connection({ networkServiceEndpointName: '../../etc' }),
    'network_service_endpoint_name',
  ],
  ['NUL in a label', connection({ labels: { app: 'a\0b' } }), 'labels["app"]'],
  ['no service', connection({ networkService: '' }), 'network_service'],
  [
    'an unknown service',
    connection({ networkService: 'nowhere' }),
    'network service nowhere is not found',
  ],
  [
    'an unknown endpoint',
    connection({ networkServiceEndpointName: 'nobody' }),
    'network service endpoint nobody not found',
  ],
  [
    'the same address at both ends',
    connection({
      context: { ipContext: { srcIpAddrs: ['10.0.0.1/32'], dstIpAddrs: ['10.0.0.1/32'] } },
    }),
    'src_ip_addrs[0]',
  ],
  [
    'overlapping routes',
    connection({
      context: {
        ipContext: {
          srcRoutes: [
            { prefix: '10.0.0.0/8', nextHop: '10.0.0.1' },
            { prefix: '10.0.0.0/8', nextHop: '10.0.0.2' },
          ],
        },
      },
    }),
    'src_routes[1]',
  ],
  [
    'a prefix that is none',
    connection({ context: { ipContext: { excludedPrefixes: ['10.0.0.0/64'] } } }),
    'excluded_prefixes[0]',
  ],
  [
    'an index beyond the path',
    connection({ path: { index: 9, pathSegments: segments(1) } }),
    'Path.Index+1==10',
  ],
  ['an id that is not that of its segment', connection({ id: 'other' }), 'Current PathSegment.Id'],
  [
    '10,000 path segments',
    connection({ path: { index: 0, pathSegments: segments(10_000) } }),
    'path_segments',
  ],
  ['4 MB of labels', connection({ labels: { big: 'x'.repeat(4 << 20) } }), 'labels["big"]'],
  [
    'a namespace that does not exist',
    kernel({ name: 'nsm-1', inodeURL: 'inode://4/1' }),
    'inode://4/1',
  ],
  ['a namespace that is no URL', kernel({ name: 'nsm-1', inodeURL: '/proc/1/ns/net' }), 'inodeURL'],
  ['no namespace', kernel({ name: 'nsm-1' }), 'inodeURL'],
];

describe.each(worlds)('bad input, in %s', (kind, start) => {
  let world: World;
  beforeAll(async () => {
    world = await start(twoNodes('bad', '  a: { node: n1, services: [kernel://near/nsm-0] }'));
    await world.connected('a');
  });
  afterAll(() => world.stop());

  // A kernel in memory has every namespace.
  const cases = hostile.filter(
    ([name]) => kind !== 'memory' || name !== 'a namespace that does not exist',
  );

  test.each(cases)('%s is refused by name and leaves nothing', async (_name, change, named) => {
    const before = JSON.stringify(await world.census());
    for (const service of ['near', 'far']) {
      const refused = (await direct(world, 'n1')
        .request(requestFrom(world, 'a', service, change))
        .then(
          () => ({ code: 'accepted', message: '' }),
          (err: unknown) => err,
        )) as NsmError;
      expect(refused.message).toContain(named);
      expect(Object.keys(errorCodes).filter((code) => code !== 'internal')).toContain(refused.code);
      await eventually(world.census, (now) => JSON.stringify(now) === before);
    }
  });

  test('and the mesh goes on', async () => {
    const speak = direct(world, 'n1');
    const answer = await speak.request(requestFrom(world, 'a', 'far'));
    await speak.close(answer);
    expect(await world.wires()).toHaveLength(1);
  });
});
