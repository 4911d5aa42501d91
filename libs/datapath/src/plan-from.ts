import { createHash } from 'node:crypto';
import { formatAddress, formatPrefix } from '@nsm/ip';
import { checkMac, checkMtu, checkPlan, PlanError } from './check.ts';
import type { End, Plan, Side, Sysctl, Vxlan } from './plan.ts';
import { address, numberOf } from './parameter.ts';
import { policiesFrom } from './policy-from.ts';
import { neighboursOf, sideContext } from './side.ts';
import { isTrunk, trunkFrom, vlanFrom } from './vlan-from.ts';
import type { Wire, WireMechanism } from './wire.ts';
import { wireguardFrom } from './wireguard/plan.ts';

const DEFAULT_VXLAN_PORT = 4789;
/** Contract 4.7: octets of a VXLAN packet that are not payload. */
const VXLAN_OVERHEAD = { 4: 54, 6: 74 } as const;
/** RFC 8200 section 5 */
const IPV6_MIN_MTU = 1280;

/**
 * What to program for a connection on this hop (contract parts 4 and 5).
 *
 * | client | endpoint | plan |
 * |---|---|---|
 * | KERNEL | KERNEL | a veth pair, an end in each namespace |
 * | KERNEL | VXLAN  | a tunnel in the client's namespace; `src_ip` is ours |
 * | VXLAN  | KERNEL | a tunnel in the endpoint's namespace; `dst_ip` is ours |
 * | KERNEL | VLAN   | a veth pair from the client to a VLAN of the physical network |
 * | KERNEL | KERNEL with `vlan` | a veth pair from the client to a VLAN of the endpoint's one interface |
 * | KERNEL | WIREGUARD, and the other way round | the same, encrypted, for payload IP |
 *
 * Pure: the same wire gives the same plan, MAC addresses included, on every call and after every restart.
 * @throws PlanError for any other pair of mechanisms and for any value that cannot be programmed
 */
export function planFrom(wire: Wire): Plan {
  const { id, owner, client, endpoint } = wire;
  if (client === undefined)
    throw new PlanError('client', 'no mechanism was agreed with the client');
  if (endpoint === undefined)
    throw new PlanError('endpoint', 'no mechanism was agreed with the endpoint');
  const plan: Plan = {
    id,
    ...(owner === undefined ? {} : { owner }),
    link: linkFrom(wire, client, endpoint),
  };
  checkPlan(plan);
  return plan;
}

/** The MTU that a VXLAN over this underlay leaves to its payload (contract 4.7). `local` is a tunnel address. @throws PlanError */
export function vxlanMtu(underlayMtu: number, local: string): number {
  const mtu = underlayMtu - VXLAN_OVERHEAD[address('local', local).family];
  checkMtu('underlay.mtu less the overhead of VXLAN', mtu);
  return mtu;
}

function linkFrom(wire: Wire, client: WireMechanism, endpoint: WireMechanism): Plan['link'] {
  const pair = `${client.type}+${endpoint.type}`;
  if (pair === 'KERNEL+KERNEL' && isTrunk(endpoint))
    return trunkFrom(endpoint, clientEnd(wire, client));
  if (pair === 'KERNEL+VLAN') return vlanFrom(wire, endpoint, clientEnd(wire, client));
  if (pair === 'KERNEL+KERNEL') {
    const macs = { client: macOf(wire, 'client'), endpoint: macOf(wire, 'endpoint') };
    const mtu = wire.context?.MTU ?? 0;
    return {
      kind: 'veth',
      client: endFrom(wire, 'client', client, mtu, isEthernet(wire) ? undefined : macs.endpoint),
      endpoint: endFrom(
        wire,
        'endpoint',
        endpoint,
        mtu,
        isEthernet(wire) ? undefined : macs.client,
      ),
    };
  }
  if (pair === 'KERNEL+VXLAN') return tunnelFrom(wire, 'client', client, endpoint);
  if (pair === 'VXLAN+KERNEL') return tunnelFrom(wire, 'endpoint', endpoint, client);
  if (pair === 'KERNEL+WIREGUARD')
    return wireguardFrom(wire, 'client', endpoint, (mtu) =>
      endFrom(wire, 'client', client, mtu, undefined),
    );
  if (pair === 'WIREGUARD+KERNEL')
    return wireguardFrom(wire, 'endpoint', client, (mtu) =>
      endFrom(wire, 'endpoint', endpoint, mtu, undefined),
    );
  throw new PlanError(
    'mechanism',
    `${client.type} towards the client with ${endpoint.type} towards the endpoint cannot be programmed: ` +
      'one of them has to be KERNEL and the other KERNEL, VXLAN or WIREGUARD, or VLAN towards the endpoint',
  );
}

/** Of a wire that is the client's alone to program: nobody says what is on the VLAN. */
const clientEnd = (wire: Wire, client: WireMechanism): End =>
  endFrom(wire, 'client', client, wire.context?.MTU ?? 0, undefined);

function tunnelFrom(wire: Wire, side: Side, kernel: WireMechanism, tunnel: WireMechanism): Vxlan {
  const parameters = tunnel.parameters;
  // The client of a tunnel is its source (contract 4.4).
  const [ours, theirs] = side === 'client' ? (['src', 'dst'] as const) : (['dst', 'src'] as const);
  const local = formatAddress(address(`${ours}_ip`, parameters[`${ours}_ip`] ?? ''));
  const remote = formatAddress(address(`${theirs}_ip`, parameters[`${theirs}_ip`] ?? ''));
  const port = numberOf(parameters[`${ours}_port`]) || DEFAULT_VXLAN_PORT;
  const remotePort = numberOf(parameters[`${theirs}_port`]) || DEFAULT_VXLAN_PORT;
  if (port !== remotePort)
    throw new PlanError(
      'dst_port',
      `the tunnel's ends use the UDP ports ${port} and ${remotePort}: set the same on both nodes`,
    );
  const limits = [
    vxlanMtu(wire.underlay.mtu, local),
    numberOf(parameters['MTU']),
    wire.context?.MTU ?? 0,
  ];
  const mtu = Math.min(...limits.filter((limit) => limit > 0));
  return {
    kind: 'vxlan',
    side,
    end: endFrom(wire, side, kernel, mtu, undefined),
    vni: numberOf(parameters['vni']),
    local,
    remote,
    port,
  };
}

function endFrom(
  wire: Wire,
  side: Side,
  mechanism: WireMechanism,
  mtu: number,
  peerMac: string | undefined,
): End {
  const { parameters } = mechanism;
  const vlan = numberOf(parameters['vlan']);
  if (vlan > 0 && vlan <= 4095)
    throw new PlanError(
      `${side}.vlan`,
      `VLAN ${vlan} is possible on the interface of an endpoint whose client is on the same node: ask for an interface without one`,
    );
  const name = parameters['name'] ?? '';
  const { own, peers, routes } = sideContext(side, wire.context);
  // Contract 5.4: policies are the client's.
  const policies =
    side === 'client' ? policiesFrom(wire.context?.ipContext?.policies ?? [], peers) : [];
  const six =
    [...own, ...peers].some(({ family }) => family === 6) ||
    [...routes, ...policies.flatMap((policy) => policy.routes)].some(({ to }) => to.includes(':'));
  if (six && mtu > 0 && mtu < IPV6_MIN_MTU)
    throw new PlanError(
      'context.MTU',
      `${mtu} is too small for IPv6, which needs ${IPV6_MIN_MTU}: use IPv4 addresses or a larger MTU`,
    );
  return {
    netns: parameters['inodeURL'] ?? '',
    name,
    ...(mtu > 0 ? { mtu } : {}),
    mac: macOf(wire, side),
    addresses: [...new Set(own.map(formatPrefix))],
    routes,
    neighbours: neighboursOf(wire.context, peers, peerMac),
    sysctls: sysctlsOf(
      name,
      six ? 'needed' : isEthernet(wire) || own.length === 0 ? 'possible' : 'off',
      side === 'endpoint' && parameters['routeLocalNet'] === 'true',
    ),
    ...(policies.length > 0 ? { policies } : {}),
  };
}

/**
 * Contract 5.2. What belongs to the link comes first, as addresses are added after it. IPv6 is switched off on a wire that carries
 * IPv4 packets only: each link that has it slows its namespace down for every other one.
 */
const sysctlsOf = (
  name: string,
  ipv6: 'needed' | 'possible' | 'off',
  routeLocalNet: boolean,
): Sysctl[] => [
  ...(ipv6 === 'possible'
    ? []
    : [
        {
          path: `net/ipv6/conf/${name}/disable_ipv6`,
          value: ipv6 === 'off' ? '1' : '0',
          optional: true,
        },
      ]),
  ...(routeLocalNet ? [{ path: `net/ipv4/conf/${name}/route_localnet`, value: '1' }] : []),
  // Lets workloads ping without a capability; refused in a user namespace that does not map all groups.
  { path: 'net/ipv4/ping_group_range', value: '0 2147483647', optional: true },
];

/** The address asked for, or one derived from the connection: locally administered, unicast (IEEE 802 section 8.2). */
function macOf({ id, context }: Wire, side: Side): string {
  const field = side === 'client' ? 'srcMac' : 'dstMac';
  const asked = (context?.ethernetContext?.[field] ?? '').toLowerCase();
  if (asked !== '') {
    checkMac(`context.ethernetContext.${field}`, asked);
    return asked;
  }
  const hash = createHash('sha256').update(`${id}/${side}`).digest();
  hash.writeUInt8((hash.readUInt8(0) & 0xfc) | 0x02, 0);
  return (hash.toString('hex', 0, 6).match(/../g) ?? []).join(':');
}

const isEthernet = ({ payload }: Wire): boolean => payload === 'ETHERNET';
