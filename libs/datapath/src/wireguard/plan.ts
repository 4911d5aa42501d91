import { formatAddress } from '@nsm/ip';
import { checkMtu, PlanError } from '../check.ts';
import { address, numberOf } from '../parameter.ts';
import type { End, Side, Wireguard } from '../plan.ts';
import type { Wire, WireMechanism } from '../wire.ts';

/** What the protocol takes when no port is named (contract 4.5). */
const DEFAULT_PORT = 51_820;
/** Contract 4.7: octets of a WireGuard packet that are not payload. */
const OVERHEAD = { 4: 60, 6: 80 } as const;

/** The MTU that WireGuard over this underlay leaves to its payload. `local` is a tunnel address. @throws PlanError */
export function wireguardMtu(underlayMtu: number, local: string): number {
  const mtu = underlayMtu - OVERHEAD[address('local', local).family];
  checkMtu('underlay.mtu less the overhead of WireGuard', mtu);
  return mtu;
}

/** The plan of an encrypted tunnel; `endOf` makes its end for an MTU. @throws PlanError */
export function wireguardFrom(
  wire: Wire,
  side: Side,
  { parameters }: WireMechanism,
  endOf: (mtu: number) => End,
): Wireguard {
  if (wire.payload === 'ETHERNET')
    throw new PlanError(
      'payload',
      'WIREGUARD carries IP, not ETHERNET: use VXLAN, or a service with payload IP',
    );
  // The client of a tunnel is its source (contract 4.5).
  const [ours, theirs] = side === 'client' ? (['src', 'dst'] as const) : (['dst', 'src'] as const);
  const local = formatAddress(address(`${ours}_ip`, parameters[`${ours}_ip`] ?? ''));
  const limits = [
    wireguardMtu(wire.underlay.mtu, local),
    numberOf(parameters['MTU']),
    wire.context?.MTU ?? 0,
  ];
  return {
    kind: 'wireguard',
    side,
    end: {
      ...endOf(Math.min(...limits.filter((limit) => limit > 0))),
      mac: '',
      neighbours: [],
    },
    local,
    remote: formatAddress(address(`${theirs}_ip`, parameters[`${theirs}_ip`] ?? '')),
    port: numberOf(parameters[`${ours}_port`]) || DEFAULT_PORT,
    remotePort: numberOf(parameters[`${theirs}_port`]) || DEFAULT_PORT,
    publicKey: parameters[`${ours}_public_key`] ?? '',
    peerKey: parameters[`${theirs}_public_key`] ?? '',
  };
}
