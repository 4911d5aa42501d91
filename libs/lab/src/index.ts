/** Labs: whole meshes of real processes on one machine, each node and pod a network namespace. */
export type { Census } from './census.ts';
export type { Connected } from './connected.ts';
export type { LabLimits } from './core.ts';
export type { ExecOptions, ExecResult } from './execute.ts';
export type { Interface } from './interfaces.ts';
export { connectionsAt, openLab } from './lab.ts';
export type { Lab, LabProcess, LabWire, WaitOptions } from './lab.ts';
export { parseTopology, readTopology } from './parse-topology.ts';
export { planLab } from './plan.ts';
export { startOrder } from './planned.ts';
export type {
  Plan,
  PlannedNamespace,
  PlannedPort,
  PlannedProcess,
  PlanOptions,
  Program,
} from './planned.ts';
export { bundledPrograms } from './programs.ts';
export type { Programs } from './programs.ts';
export { findEndpoints, findServices, registerServices } from './registry.ts';
export { ping } from '@nsm/netlink';
export { formatRequestUrl, parseRequestUrl } from '@nsm/connection';
export type { RequestUrl } from '@nsm/connection';
export { startLab } from './start-lab.ts';
export type { LabOptions } from './start-lab.ts';
export { defaultPlaces, listLabs } from './state.ts';
export type { Places } from './state.ts';
export type {
  ClientSpec,
  EndpointSpec,
  Environment,
  NodeSpec,
  Payload,
  RegistrySpec,
  ServiceSpec,
  Topology,
  Underlay,
} from './topology.ts';
export { inNamespacesOf, inOwnNamespaces } from './user-namespace.ts';
export { wiresFrom } from './wires.ts';
export type { Wire } from './wires.ts';
