import { type Plan, planFrom } from '@nsm/datapath';
import type { Place } from './places.ts';

/** Plans of wires, number n of each kind with names and addresses of its own. */

const UNDERLAY = { mtu: 1500 };
const kernel = ({ netns }: Place, n: number) => ({
  type: 'KERNEL',
  parameters: { inodeURL: netns, name: `b${n}` },
});
const tunnelIps = { src_ip: '192.0.2.1', dst_ip: '192.0.2.2' };

/** An address of wire n: the first 16 bits are the caller's, so that no two wires of a namespace share one. */
const four = (n: number, last: number): string =>
  `10.${n >> 14}.${(n >> 6) & 255}.${((n & 63) << 2) + last}/32`;
const six = (n: number, last: number): string => `fd00::${n.toString(16)}:${last}/128`;

/** The endpoint's address on wire n. */
export const farAddress = (n: number): string => four(n, 2).split('/')[0] ?? '';

const contextOf = (n: number, ipv6: boolean) => ({
  ipContext: {
    srcIpAddrs: [four(n, 1), ...(ipv6 ? [six(n, 1)] : [])],
    dstIpAddrs: [four(n, 2), ...(ipv6 ? [six(n, 2)] : [])],
    srcRoutes: [],
    dstRoutes: [],
    ipNeighbors: [],
  },
  MTU: 0,
});

/** A wire between two pods of a node. */
export const vethPlan = (client: Place, endpoint: Place, n: number, ipv6 = false): Plan =>
  planFrom({
    id: `bench-${n}`,
    payload: 'IP',
    context: contextOf(n, ipv6),
    client: kernel(client, n),
    endpoint: kernel(endpoint, n),
    underlay: UNDERLAY,
  });

/** One half of a wire between two nodes: the client's or the endpoint's. */
export const vxlanPlan = (side: 'client' | 'endpoint', pod: Place, n: number): Plan =>
  remote(side, pod, n, { type: 'VXLAN', parameters: { ...tunnelIps, vni: String(n + 1) } });

/** Ports and public keys of both ends of a WireGuard tunnel. */
export interface Identities {
  readonly client: { readonly publicKey: string; readonly port: number };
  readonly endpoint: { readonly publicKey: string; readonly port: number };
}

export const wireguardPlan = (
  side: 'client' | 'endpoint',
  pod: Place,
  n: number,
  { client, endpoint }: Identities,
): Plan =>
  remote(side, pod, n, {
    type: 'WIREGUARD',
    parameters: {
      ...tunnelIps,
      src_port: String(client.port),
      dst_port: String(endpoint.port),
      src_public_key: client.publicKey,
      dst_public_key: endpoint.publicKey,
    },
  });

const remote = (
  side: 'client' | 'endpoint',
  pod: Place,
  n: number,
  tunnel: { type: string; parameters: Record<string, string> },
): Plan =>
  planFrom({
    id: `bench-${n}-${side}`,
    payload: 'IP',
    context: contextOf(n, false),
    client: side === 'client' ? kernel(pod, n) : tunnel,
    endpoint: side === 'client' ? tunnel : kernel(pod, n),
    underlay: UNDERLAY,
  });
