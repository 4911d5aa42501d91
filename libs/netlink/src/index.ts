export { addressDelete, addressReplace, type InterfaceAddress, listAddresses } from './address.ts';
export { popTag, pushTag } from './bpf.ts';
export type { Device } from './device.ts';
export { type Events, type NetlinkEvent, openEvents } from './events.ts';
export { type Counters, getLink, type Link, listLinks } from './link.ts';
export {
  bridgeAdd,
  type LinkChange,
  linkDelete,
  linkDeleteGroup,
  linkSet,
  type NewLink,
  vethAdd,
  vlanAdd,
  vlanProbe,
  vxlanAdd,
  type VxlanTunnel,
  wireguardAdd,
} from './link-message.ts';
export { withGenetlink } from './generic.ts';
export { formatMac, macBytes } from './mac.ts';
export type { Request } from './message.ts';
export {
  fdbDelete,
  type KnownNeighbour,
  listNeighbours,
  type Neighbour,
  neighbourDelete,
  neighbourReplace,
} from './neighbour.ts';
export {
  createNetns,
  deleteNetns,
  inFreshNetns,
  inNetns,
  moveToNetns,
  type Netns,
  openNetns,
} from './netns.ts';
export {
  createNetnsFinder,
  findNetns,
  formatNetns,
  type FoundNetns,
  listNetns,
  type NetnsFinder,
  NetnsNotFound,
  netnsOf,
  type NetnsRef,
  parseNetns,
} from './netns-find.ts';
export { type NamespaceNumber, nsidOf } from './nsid.ts';
export { awaitAddress, awaitLink } from './ready.ts';
export { peerNetns } from './peer.ts';
export { type Feature, probe } from './probe.ts';
export { ping, type PingOptions, type PingResult } from './ping.ts';
export { RTPROT_NSM } from './protocol.ts';
export {
  type InstalledRoute,
  listAllRoutes,
  listRoutes,
  type Route,
  routeDelete,
  routeReplace,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_STATIC,
} from './route.ts';
export {
  type InstalledRule,
  listRules,
  type PortRange,
  type Rule,
  ruleAdd,
  ruleDelete,
} from './rule.ts';
export { NetlinkError, openRtnetlink, type Rtnetlink, withRtnetlink } from './socket.ts';
export { Errno } from './sys.ts';
export { changeSysctl, readSysctl, writeSysctl } from './sysctl.ts';
export {
  clsactAdd,
  clsactDelete,
  type Filter,
  filterDelete,
  filterReplace,
  type InstalledFilter,
  listFilters,
} from './tc.ts';
export { openTap } from './tap.ts';
export {
  type Arrival,
  duplicate,
  endWrites,
  unixReader,
  unixWrite,
  watchDescriptor,
} from './unix-socket.ts';
export { readWireguard, setWireguard } from './wireguard.ts';
