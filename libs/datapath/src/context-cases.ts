import type { WireContext, WireIpContext, WirePolicy } from './wire.ts';

/** Changes of a connection's context, one field each: every kernel has to make exactly these, and the way back. */

/** A row: a context, another one, and what turns one into the other. */
export interface ContextCase {
  readonly name: string;
  readonly before: WireContext;
  readonly after: WireContext;
  /** The operations in their order, the client's namespace first. */
  readonly changes: readonly string[];
  /** The same on the way back. */
  readonly back: readonly string[];
}

/** What stays in every case: no packet between these must be lost. */
export const STEADY = {
  client: ['10.0.0.1', 'fd00::1'],
  endpoint: ['10.0.0.2', 'fd00::2'],
} as const;

type Ip = Partial<WireIpContext>;

const SRC = ['10.0.0.2/24', 'fd00::2/64'];
const DST = ['10.0.0.1/24', 'fd00::1/64'];
const MACS = { srcMac: '02:00:00:00:00:02', dstMac: '02:00:00:00:00:01' };
const NEIGHBOUR = { ip: '10.0.0.77', hardwareAddress: '02:00:00:00:00:77' };

const of = (ip: Ip = {}, more: Omit<Partial<WireContext>, 'ipContext'> = {}): WireContext => ({
  ipContext: {
    srcIpAddrs: SRC,
    dstIpAddrs: DST,
    srcRoutes: [],
    dstRoutes: [],
    ipNeighbors: [],
    ...ip,
  },
  ethernetContext: MACS,
  MTU: 0,
  ...more,
});
const route = (prefix: string, nextHop = ''): { prefix: string; nextHop: string } => ({
  prefix,
  nextHop,
});
const policy = (more: Partial<WirePolicy> = {}): WirePolicy[] => [
  { from: '', proto: '', dstPort: '', srcPort: '', routes: [], ...more },
];

const WEB = { from: '10.0.0.2/32', proto: '6', dstPort: '80' } as const;
const web = policy(WEB);
const dns = policy({ proto: '17', dstPort: '53', routes: [route('10.5.0.0/16', '10.0.0.9')] });

const row = (
  name: string,
  [before, after]: readonly [WireContext, WireContext],
  [changes, back]: readonly [string, string],
): ContextCase => ({ name, before, after, changes: list(changes), back: list(back) });
const list = (words: string): string[] => words.split(' ').filter((word) => word !== '');

export const contextCases: readonly ContextCase[] = [
  row(
    'a source address in the subnet',
    [of(), of({ srcIpAddrs: [...SRC, '10.0.0.3/24'] })],
    ['address neighbour', 'sysctl no-address address neighbour no-neighbour'],
  ),
  row(
    'a source address outside, to which the endpoint needs a route',
    [of(), of({ srcIpAddrs: [...SRC, '10.7.0.1/32'] })],
    ['address route neighbour', 'no-address no-neighbour no-route'],
  ),
  row(
    'a destination address',
    [of(), of({ dstIpAddrs: [...DST, 'fd07::1/128'] })],
    ['route neighbour address', 'no-neighbour no-route no-address'],
  ),
  row(
    'the length of an IPv6 address',
    [of({ srcIpAddrs: [...SRC, 'fd07::2/64'] }), of({ srcIpAddrs: [...SRC, 'fd07::2/80'] })],
    ['no-address address route no-route', 'no-address address route no-route'],
  ),
  row(
    'a source route without a next hop',
    [of(), of({ srcRoutes: [route('10.8.0.0/16'), route('fd08::/64')] })],
    ['route route', 'no-route no-route'],
  ),
  row(
    'a source route with a next hop',
    [of(), of({ srcRoutes: [route('10.8.0.0/16', '10.0.0.9'), route('fd08::/64', 'fd00::9')] })],
    ['route route', 'no-route no-route'],
  ),
  row(
    'the next hop of a source route',
    [
      of({ srcRoutes: [route('10.8.0.0/16', '10.0.0.9'), route('fd08::/64', 'fd00::9')] }),
      of({ srcRoutes: [route('10.8.0.0/16', '10.0.0.8'), route('fd08::/64')] }),
    ],
    ['route route', 'route route'],
  ),
  row(
    'a destination route',
    [of(), of({ dstRoutes: [route('10.9.0.0/16'), route('10.10.0.0/16', '10.0.0.8')] })],
    ['route route', 'no-route no-route'],
  ),
  row(
    'a neighbour',
    [of(), of({ ipNeighbors: [NEIGHBOUR] })],
    ['neighbour neighbour', 'no-neighbour no-neighbour'],
  ),
  row(
    'the hardware address of a neighbour',
    [
      of({ ipNeighbors: [NEIGHBOUR] }),
      of({ ipNeighbors: [{ ...NEIGHBOUR, hardwareAddress: '02:00:00:00:00:78' }] }),
    ],
    ['neighbour neighbour', 'neighbour neighbour'],
  ),
  row(
    'the hardware address of the client',
    [of(), of({}, { ethernetContext: { ...MACS, srcMac: '02:00:00:00:00:22' } })],
    [
      'sysctl sysctl set neighbour neighbour neighbour neighbour',
      'sysctl sysctl set neighbour neighbour neighbour neighbour',
    ],
  ),
  row('the MTU', [of(), of({}, { MTU: 1400 })], ['set set', 'set set']),
  row('a policy', [of(), of({ policies: web })], ['route rule', 'no-rule no-route']),
  row(
    'another policy behind it',
    [of({ policies: web }), of({ policies: [...web, ...dns] })],
    ['route rule', 'no-rule no-route'],
  ),
  row(
    'a policy before it, which moves the rule of the second and leaves its routes',
    [of({ policies: dns }), of({ policies: [...web, ...dns] })],
    ['route rule rule no-rule', 'no-rule no-route'],
  ),
  row(
    'the order of policies',
    [of({ policies: [...web, ...dns] }), of({ policies: [...dns, ...web] })],
    ['rule no-rule', 'rule no-rule'],
  ),
  row(
    'the ports of a policy',
    [of({ policies: web }), of({ policies: policy({ ...WEB, dstPort: '80-89' }) })],
    ['route rule no-rule no-route', 'route rule no-rule no-route'],
  ),
  row(
    'a route of a policy, which leaves its rule',
    [
      of({ policies: policy({ routes: [route('10.5.0.0/16'), route('10.6.0.0/16')] }) }),
      of({
        policies: policy({ routes: [route('10.5.0.0/16', '10.0.0.9'), route('10.4.0.0/16')] }),
      }),
    ],
    ['route route no-route', 'route route no-route'],
  ),
  row(
    'an IPv6 policy and one that is for both families',
    [
      of(),
      of({
        policies: [
          ...policy({ from: 'fd00::2/128', srcPort: '1-65534' }),
          ...policy({ proto: '17', routes: [route('10.5.0.0/16'), route('fd05::/64', 'fd00::9')] }),
        ],
      }),
    ],
    ['route rule route rule route rule', 'no-rule no-rule no-rule no-route no-route no-route'],
  ),
];
