import { chain, type Clock } from '@nsm/chain';
import {
  authorize,
  byPriority,
  connect,
  crossConnect,
  deviceOf,
  discover,
  ETHERNET,
  expire,
  IPSEC,
  KERNEL,
  kernelMechanism,
  followNextHop,
  lifecycle,
  LOCAL,
  mechanisms,
  recall,
  receiveNetns,
  refusedMechanism,
  REMOTE,
  roundRobin,
  SUPPORTS_VLAN,
  translate,
  updatePath,
  updateToken,
  validate,
  vlanNetwork,
  vlanOffer,
  vxlanClaim,
  vxlanMechanism,
  vxlanOffers,
  WIREGUARD,
  wireguardClaim,
  wireguardMechanism,
  wireguardOffers,
  type Call,
  type ConnectionElement,
  type Connections,
  type Namespaces,
  type NetnsProof,
  type Networks,
  type Peers,
  type Tunnel,
  type WireguardTunnel,
} from '@nsm/connection';
import type { Datapath } from '@nsm/datapath';
import type { TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { Mechanism } from '@nsm/proto';
import type { Discovery } from '@nsm/registry';
import type { Dialer } from '@nsm/rpc';
import { makeRoom } from './make-room.ts';
import type { Leftovers } from './sweep.ts';

export interface ForwarderDeps {
  readonly name: string;
  /** Whose links are ours: becomes part of their alias, and differs from that of every other forwarder on the machine. */
  readonly owner: string;
  readonly newId: () => string;
  readonly random: () => number;
  readonly clock: Clock;
  readonly tokens: TokenSource;
  readonly policies: Policies;
  /** Segments a path may have. @default 64 */
  readonly maxPath?: number | undefined;
  readonly connections: Connections;
  readonly dialer: Dialer;
  readonly peers: Peers;
  readonly discovery: Discovery;
  /** What callers and endpoints have to show of a namespace they name. */
  readonly netnsProof: NetnsProof;
  /** Of the calls under way. */
  readonly namespaces: Namespaces;
  readonly datapath: Pick<Datapath, 'ensure' | 'remove'>;
  /** What an earlier process has left. */
  readonly leftovers: () => Pick<Leftovers, 'makeRoom'>;
  /** Our end of tunnels; undefined: wires stay on this node. */
  readonly tunnel: Tunnel | undefined;
  /** Our end of encrypted tunnels; undefined: this node has no WireGuard. */
  readonly wireguard: WireguardTunnel | undefined;
  /** Mechanism types, preferred ones first (contract 3.12). */
  readonly mechanismPriority: readonly string[];
  /** Octets; of the link that carries tunnels. */
  readonly underlayMtu: number;
  /** The physical networks this node is on; undefined: none. */
  readonly networks?: Networks | undefined;
  /** Why there is no WIREGUARD here, where there is none. */
  readonly noWireguard?: string | undefined;
  /** Why there is no IPSEC here. */
  readonly noIpsec?: string | undefined;
}

const NO_IPSEC = 'this forwarder has none; ask for WIREGUARD, or for VXLAN in a network you trust';
const NO_WIREGUARD = 'this forwarder has none; ask for VXLAN in a network you trust';

/** What a forwarder does with a Request or Close: chooses an endpoint, agrees with both sides, and joins them in the kernel. */
export const forwarderChain = (d: ForwarderDeps): ConnectionElement => {
  const { tunnel, wireguard, networks, noIpsec = NO_IPSEC, noWireguard = NO_WIREGUARD } = d;
  return chain(
    validate(d.maxPath), // nothing malformed gets any further
    receiveNetns({ namespaces: d.namespaces, proof: d.netnsProof }), // held until the kernel has been asked
    recall(d.connections, d.clock), // whose path was lost with its client and its manager
    updatePath(d.name, d.newId), // from here on the id is this hop's own
    updateToken(d.tokens), // needs the index of our segment
    authorize(d), // judges the tokens, of closes too, before anything is done
    lifecycle(d.connections), // one queue and one scope per connection; a close ends here and unwinds what is below
    expire(d.connections, d.clock), // closes what is not refreshed in time
    discover(d.discovery, d.clock), // which endpoints may serve this request
    roundRobin(d.clock), // tries them until one accepts
    mechanisms(
      kernelMechanism(d),
      ...(tunnel ? [vxlanMechanism(tunnel)] : []),
      wireguard ? wireguardMechanism(wireguard) : refusedMechanism(WIREGUARD, REMOTE, noWireguard),
      refusedMechanism(IPSEC, REMOTE, noIpsec),
    ), // how the caller's leg is realised
    crossConnect({
      datapath: d.datapath,
      owner: d.owner,
      underlayMtu: d.underlayMtu,
      ...(networks ? { networkOf: (answer) => deviceOf(networks, answer) } : {}),
    }), // acts when both legs are known
    makeRoom(d.leftovers), // who has died together with all who knew its wire must not be kept out by it
    ...(networks ? [vlanNetwork(networks)] : []), // the network the endpoint chose must be one of ours, before the kernel is asked
    ...(tunnel ? [vxlanClaim(tunnel)] : []), // a number the other node chose must be free here, before the kernel is asked
    ...(wireguard ? [wireguardClaim(wireguard)] : []), // whose answer is wrong must not reach the kernel either
    translate((call) => offers(call, d)), // the caller's leg ends here, ours begins
    followNextHop(d.peers), // hears what becomes of it there
    connect(d), // holds "close the next hop" with the answer it got
  );
};

/** A unix socket leads to a workload of this node, anything else to another node (contract 3.12, filtermechanisms). */
async function offers(
  call: Call,
  { tunnel, wireguard, networks, mechanismPriority }: ForwarderDeps,
): Promise<readonly Mechanism[]> {
  const { target, connection } = call;
  if (/^(unix|inode):/.test(target?.url ?? '')) {
    // A wire that comes by a tunnel cannot be told by a tag.
    const parameters = connection.mechanism?.type === KERNEL ? { [SUPPORTS_VLAN]: 'true' } : {};
    return [{ cls: LOCAL, type: KERNEL, parameters }];
  }
  return byPriority(
    [
      ...(tunnel ? vxlanOffers(tunnel) : []),
      ...(networks && connection.payload === ETHERNET ? [vlanOffer] : []), // carries nothing else (contract 4.1)
      ...(wireguard ? await wireguardOffers(call, wireguard) : []),
    ],
    mechanismPriority,
  );
}
