export { askForRefresh } from './ask-for-refresh.ts';
export type { Call, ConnectionElement, Target } from './call.ts';
export { withConnection } from './call.ts';
export { checkPolicy } from './check-policy.ts';
export { createConnections } from './connections.ts';
export type { Connections, OnUndoFailure } from './connections.ts';
export { connectionNews } from './news.ts';
export type { ConnectionNews } from './news.ts';
export { admit } from './elements/admit.ts';
export { asClient } from './elements/as-client.ts';
export { authorize } from './elements/authorize.ts';
export { clientInfo } from './elements/client-info.ts';
export { connect } from './elements/connect.ts';
export { crossConnect } from './elements/cross-connect.ts';
export { discoverForwarder } from './elements/discover-forwarder.ts';
export { discover } from './elements/discover.ts';
export { excludedPrefixes } from './elements/excluded-prefixes.ts';
export { expire } from './elements/expire.ts';
export { followNextHop } from './elements/follow-next-hop.ts';
export { ipam } from './elements/ipam.ts';
export { joinWires } from './elements/join-wires.ts';
export { kernelMechanism, noopMechanism } from './elements/kernel-mechanism.ts';
export { lifecycle } from './elements/lifecycle.ts';
export { passThrough } from './elements/pass-through.ts';
export { policyRoute } from './elements/policy-route.ts';
export { mechanisms, refusedMechanism } from './elements/mechanisms.ts';
export { recall } from './elements/recall.ts';
export { receiveNetns } from './elements/receive-netns.ts';
export { roundRobin } from './elements/round-robin.ts';
export { sameMacs } from './elements/same-macs.ts';
export { sendNetns } from './elements/send-netns.ts';
export { toManager } from './elements/to-manager.ts';
export { translate } from './elements/translate.ts';
export { trimPath } from './elements/trim-path.ts';
export { updatePath } from './elements/update-path.ts';
export { updateToken } from './elements/update-token.ts';
export { validate } from './elements/validate.ts';
export { deviceOf, vlanNetwork, vlanOffer } from './elements/vlan-network.ts';
export type { Networks } from './elements/vlan-network.ts';
export { vxlanClaim, vxlanMechanism, vxlanOffers } from './elements/vxlan-mechanism.ts';
export type { Tunnel } from './elements/vxlan-mechanism.ts';
export {
  wireguardClaim,
  wireguardMechanism,
  wireguardOffers,
} from './elements/wireguard-mechanism.ts';
export type { WireguardTunnel } from './elements/wireguard-mechanism.ts';
export { interfaceName } from './interface-name.ts';
export { byPriority } from './mechanism-priority.ts';
export {
  ETHERNET,
  INTERFACE_NAME,
  IPSEC,
  KERNEL,
  LOCAL,
  NETNS_URL,
  REMOTE,
  SUPPORTS_VLAN,
  WIREGUARD,
} from './mechanism.ts';
export { createNamespaces, namespacesIn, ownNamespace, sendNamespaces } from './namespaces.ts';
export type { Namespaces } from './namespaces.ts';
export { ownNetns } from './own-netns.ts';
export { callerSegment, firstExpiry, ownSegment, pathOf } from './path.ts';
export { createPeers } from './peers.ts';
export type { Peers } from './peers.ts';
export type { NetnsProof } from './prove-netns.ts';
export { formatRequestUrl, interfaceFault, parseRequestUrl } from './request-url.ts';
export type { RequestUrl } from './request-url.ts';
export { selects } from './selector.ts';
export { createRepair } from './repair.ts';
export type { Repair } from './repair.ts';
export { serveConnections } from './serve.ts';
export type { Outcome } from './serve.ts';
export type { TunnelAddress } from './tunnel-ip.ts';
export { createVnis } from './vnis.ts';
