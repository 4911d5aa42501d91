import type { Plan } from './plan.ts';
import { planFrom } from './plan-from.ts';
import type { WireContext, WireIpContext } from './wire.ts';

/** Test data: wires, and one table of transitions that every kernel has to pass, the one in memory and the one of the machine. */

/** The namespaces that the table uses, and the nodes of its tunnels. */
export interface Places {
  readonly client: string;
  readonly endpoint: string;
}

/** A connection's context with these addresses, and whatever else is said. */
export const context = (
  src: readonly string[],
  dst: readonly string[],
  { mtu = 0, ...more }: Partial<WireIpContext> & { readonly mtu?: number } = {},
): WireContext => ({
  ipContext: {
    srcIpAddrs: src,
    dstIpAddrs: dst,
    srcRoutes: [],
    dstRoutes: [],
    ipNeighbors: [],
    ...more,
  },
  MTU: mtu,
});

/** A local wire between two kernel interfaces. */
export const localPlan = (
  { client, endpoint }: Places,
  wire: {
    id?: string;
    name?: string;
    peerName?: string;
    payload?: string;
    context?: WireContext;
  } = {},
): Plan =>
  planFrom({
    id: wire.id ?? 'c1',
    payload: wire.payload ?? 'IP',
    context: wire.context ?? context(['172.16.1.1/32'], ['172.16.1.0/32']),
    client: { type: 'KERNEL', parameters: { inodeURL: client, name: wire.name ?? 'nsm-1' } },
    endpoint: {
      type: 'KERNEL',
      parameters: { inodeURL: endpoint, name: wire.peerName ?? 'nse-1' },
    },
    underlay: { mtu: 1500 },
  });

/** One half of a wire between two nodes. */
export const remotePlan = (
  side: 'client' | 'endpoint',
  netns: string,
  wire: {
    id?: string;
    vni?: string;
    payload?: string;
    context?: WireContext;
    src?: string;
    dst?: string;
  } = {},
): Plan => {
  const kernel = { type: 'KERNEL', parameters: { inodeURL: netns, name: 'nsm-1' } };
  const tunnel = {
    type: 'VXLAN',
    parameters: {
      src_ip: wire.src ?? '192.0.2.1',
      dst_ip: wire.dst ?? '192.0.2.2',
      vni: wire.vni ?? '4242',
    },
  };
  return planFrom({
    id: wire.id ?? `${side}-half`,
    payload: wire.payload ?? 'ETHERNET',
    context: wire.context ?? context(['172.16.1.1/32'], ['172.16.1.0/32']),
    client: side === 'client' ? kernel : tunnel,
    endpoint: side === 'client' ? tunnel : kernel,
    underlay: { mtu: 1500 },
  });
};

/** A wire to VLAN `tag` of the physical network behind the node's link `network`. */
export const vlanPlan = (
  netns: string,
  tag: number,
  wire: { id?: string; context?: WireContext; network?: string; name?: string } = {},
): Plan =>
  planFrom({
    id: wire.id ?? `vlan-${tag}`,
    payload: 'ETHERNET',
    context: wire.context ?? context(['172.16.1.1/24'], []),
    client: { type: 'KERNEL', parameters: { inodeURL: netns, name: wire.name ?? 'nsm-1' } },
    endpoint: { type: 'VLAN', parameters: { 'vlan-id': String(tag) } },
    network: wire.network ?? 'phys',
    underlay: { mtu: 1500 },
  });

/** A wire to the endpoint's one interface, under a tag. */
export const trunkPlan = (
  { client, endpoint }: Places,
  tag: number,
  wire: { id?: string; context?: WireContext } = {},
): Plan =>
  planFrom({
    id: wire.id ?? `trunk-${tag}`,
    payload: 'ETHERNET',
    context: wire.context ?? context(['172.16.1.1/24'], []),
    client: { type: 'KERNEL', parameters: { inodeURL: client, name: 'nsm-1' } },
    endpoint: {
      type: 'KERNEL',
      parameters: { inodeURL: endpoint, name: 'trunk', vlan: String(tag) },
    },
    underlay: { mtu: 1500 },
  });

/** A row: what is asked for, and what is there then, as `ip` commands. */
export interface Transition {
  readonly name: string;
  readonly plan: (places: Places) => Plan;
  readonly want: readonly string[];
}

/** The MAC addresses of connection `c1`, as derived from its id. */
const MAC = { client: '3a:22:8a:eb:e9:d4', endpoint: 'ea:2d:bd:7d:80:b6' } as const;

/** What `ip` shows of connection `c1`: the link, then `programmed`, which says `$` for the interface. */
function shown(
  programmed: { readonly client: readonly string[]; readonly endpoint: readonly string[] },
  { mtu = 1500, name = 'nsm-1' } = {},
): string[] {
  const side = (label: 'client' | 'endpoint', dev: string): string[] =>
    [
      `link add ${dev} address ${MAC[label]} mtu ${mtu} type veth`,
      `link set ${dev} alias nsm:c1/${label} up`,
      ...programmed[label].map((words) => words.replace('$', dev)),
    ].map((words) => `ip -n ${label} ${words}`);
  return [...side('client', name), ...side('endpoint', 'nse-1')];
}

const four = {
  client: [
    'addr add 172.16.1.1/32 dev $',
    'route add 172.16.1.0/32 dev $ scope link',
    `neigh add 172.16.1.0 lladdr ${MAC.endpoint} dev $`,
  ],
  endpoint: [
    'addr add 172.16.1.0/32 dev $',
    'route add 172.16.1.1/32 dev $ scope link',
    `neigh add 172.16.1.1 lladdr ${MAC.client} dev $`,
  ],
};
const six = {
  client: [
    'addr add fd00::1/128 dev $',
    'route add fd00::/128 dev $',
    `neigh add fd00:: lladdr ${MAC.endpoint} dev $`,
  ],
  endpoint: [
    'addr add fd00::/128 dev $',
    'route add fd00::1/128 dev $',
    `neigh add fd00::1 lladdr ${MAC.client} dev $`,
  ],
};
/** Addresses, then routes, then neighbours, whatever the family. */
const zip = (a: readonly string[], b: readonly string[]): string[] =>
  a.flatMap((line, i) => [line, b[i] ?? '']);
const subnet = (client: string, gateway: readonly string[] = []): Parameters<typeof shown>[0] => ({
  client: [
    `addr add ${client}/24 dev $`,
    ...gateway,
    `neigh add 10.0.0.1 lladdr ${MAC.endpoint} dev $`,
  ],
  endpoint: ['addr add 10.0.0.1/24 dev $', `neigh add ${client} lladdr ${MAC.client} dev $`],
});

/** Each row starts from the state of the row above, so it tests the transition as well as the state. */
export const transitions: readonly Transition[] = [
  { name: 'an IPv4 pair', plan: (places) => localPlan(places), want: shown(four) },
  {
    name: 'IPv6 beside it, and a smaller MTU',
    plan: (places) =>
      localPlan(places, {
        context: context(['172.16.1.1/32', 'fd00::1/128'], ['172.16.1.0/32', 'fd00::/128'], {
          mtu: 1400,
        }),
      }),
    want: shown(
      { client: zip(four.client, six.client), endpoint: zip(four.endpoint, six.endpoint) },
      { mtu: 1400 },
    ),
  },
  {
    name: 'IPv6 alone',
    plan: (places) =>
      localPlan(places, { context: context(['fd00::1/128'], ['fd00::/128'], { mtu: 1400 }) }),
    want: shown(six, { mtu: 1400 }),
  },
  {
    name: 'a subnet, in which the peer needs no route',
    plan: (places) =>
      localPlan(places, { context: context(['10.0.0.2/24'], ['10.0.0.1/24'], { mtu: 1500 }) }),
    want: shown(subnet('10.0.0.2')),
  },
  {
    name: 'another address of that subnet, which must survive the removal of the first',
    plan: (places) =>
      localPlan(places, { context: context(['10.0.0.3/24'], ['10.0.0.1/24'], { mtu: 1500 }) }),
    want: shown(subnet('10.0.0.3')),
  },
  {
    name: 'routes, through the peer when no next hop is given',
    plan: (places) =>
      localPlan(places, {
        context: context(['10.0.0.3/24'], ['10.0.0.1/24'], {
          srcRoutes: [
            { prefix: '0.0.0.0/0', nextHop: '' },
            { prefix: '10.1.0.0/16', nextHop: '10.0.0.9' },
          ],
        }),
      }),
    want: shown(
      subnet('10.0.0.3', [
        'route add 0.0.0.0/0 via 10.0.0.1 dev $',
        'route add 10.1.0.0/16 via 10.0.0.9 dev $',
      ]),
    ),
  },
  {
    name: 'one route less, another next hop, another interface name',
    plan: (places) =>
      localPlan(places, {
        name: 'eth9',
        context: context(['10.0.0.3/24'], ['10.0.0.1/24'], {
          srcRoutes: [{ prefix: '10.1.0.0/16', nextHop: '10.0.0.8' }],
        }),
      }),
    want: shown(subnet('10.0.0.3', ['route add 10.1.0.0/16 via 10.0.0.8 dev $']), { name: 'eth9' }),
  },
  {
    name: 'ETHERNET, where neighbours find each other, and a longer IPv6 prefix',
    plan: (places) =>
      localPlan(places, { payload: 'ETHERNET', context: context(['fd00::1/64'], ['fd00::2/64']) }),
    want: shown({ client: ['addr add fd00::1/64 dev $'], endpoint: ['addr add fd00::2/64 dev $'] }),
  },
  {
    name: 'the same IPv6 address with another length',
    plan: (places) =>
      localPlan(places, {
        payload: 'ETHERNET',
        context: context(['fd00::1/120'], ['fd00::2/120']),
      }),
    want: shown({
      client: ['addr add fd00::1/120 dev $'],
      endpoint: ['addr add fd00::2/120 dev $'],
    }),
  },
  {
    name: 'no addresses at all',
    plan: (places) => localPlan(places, { payload: 'ETHERNET', context: context([], []) }),
    want: shown({ client: [], endpoint: [] }),
  },
];
