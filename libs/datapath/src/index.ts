export { formatAlias, type Mark, parseAlias } from './alias.ts';
export type { Census, CountedLink } from './census.ts';
export { PlanError } from './check.ts';
export { createDatapath, type Datapath, type DatapathOptions } from './datapath.ts';
export { DatapathError } from './error.ts';
export { createInlineWires, type InlineWires } from './inline.ts';
export { createJoints, type Joints } from './joints.ts';
export {
  type End,
  endsOf,
  type Plan,
  type PlannedNeighbour,
  type PlannedRoute,
  samePlan,
  type Side,
  type Sysctl,
  type Veth,
  type Vxlan,
  type Wireguard,
} from './plan.ts';
export { planFrom, vxlanMtu } from './plan-from.ts';
export type { Ensured } from './reconcile.ts';
export { macFor } from './segment-name.ts';
export type { Disturbance } from './watch.ts';
export {
  createWireguard,
  type WireguardDevices,
  type WireguardIdentity,
  type WireguardOptions,
  whyNoWireguard,
} from './wireguard/devices.ts';
export { isPublicKey } from './wireguard/key.ts';
export { wireguardMtu } from './wireguard/plan.ts';
export type { Wire, WireContext, WireIpContext, WireMechanism, WireRoute } from './wire.ts';
