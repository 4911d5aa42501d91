import { type Address, firstAddress, formatPrefix, parsePrefix } from '@nsm/ip';
import { NetworkService } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { identityProcess, keeperSocket } from './plan-identity.ts';
import { endpointProcess, clientProcess, nodeProcesses, registryProcess } from './plan-process.ts';
import {
  type Plan,
  type PlannedNamespace,
  type PlannedPort,
  type PlannedProcess,
  type PlanOptions,
  startOrder,
} from './planned.ts';
import type { NodeSpec, Topology } from './topology.ts';

/** sun_path holds 108 bytes with its terminator. */
const MAX_SOCKET_PATH = 107;

/** What a topology becomes on this machine. @throws NsmError invalid-argument where the folder's path is too long for sockets */
export function planLab(topology: Topology, options: PlanOptions): Plan {
  const { nodes, endpoints, clients } = topology;
  const netns = (name: string): string => `${options.netnsFolder}/nsm-${topology.name}-${name}`;
  const pods = [...endpoints, ...clients];
  const namespaces: PlannedNamespace[] = [
    { name: 'underlay', kind: 'underlay', path: netns('underlay') },
    { name: 'registry', kind: 'registry', path: netns('registry') },
    ...nodes.map(({ name }) => ({ name, kind: 'node' as const, path: netns(name) })),
    ...pods.map(({ name, node }) => ({ name, kind: 'pod' as const, node, path: netns(name) })),
  ];
  const ports = portsOf(topology);
  const addresses = new Map(
    ports.map(({ namespace, address }) => [namespace, address.split('/')[0] ?? '']),
  );
  const place = { ...options, lab: topology, addressOf: (of: string) => addresses.get(of) ?? '' };
  const shared = topology.services.filter(({ matches }) => matches.length > 0);
  const registered = new Set(shared.map(({ name }) => name));
  const selfRegistering = (services: readonly string[]): boolean =>
    !services.some((service) => registered.has(service));
  // What an endpoint may not register (its own entry would overwrite the matches) the lab registers, with all it offers.
  for (const { services } of endpoints)
    if (!selfRegistering(services)) for (const service of services) registered.add(service);
  const processes = [
    registryProcess(place),
    ...nodes.flatMap((node) => nodeProcesses(place, node)),
    ...endpoints.map((spec) => endpointProcess(place, spec, selfRegistering(spec.services))),
    ...clients.map((spec) => clientProcess(place, spec)),
  ].sort((a, b) => startOrder.indexOf(a.program) - startOrder.indexOf(b.program));
  if (!topology.insecure) processes.unshift(identityProcess(place, processes));
  checkSockets(processes);
  return {
    name: topology.name,
    folder: options.folder,
    namespaces,
    underlay: { mtu: topology.underlay.mtu, ports },
    ...(!topology.insecure && { identityUrl: keeperSocket(options.folder) }),
    processes,
    registryUrl: urlOf(processes, 'registry'),
    managerUrls: Object.fromEntries(
      nodes.map(({ name }) => [name, urlOf(processes, `nsmgr-${name}`)]),
    ),
    registrations: topology.services
      .filter(({ name }) => registered.has(name))
      .map(({ name, payload, matches }) =>
        NetworkService.fromPartial({ name, payload, matches: [...matches] }),
      ),
    wires: Object.fromEntries(clients.map(({ name, services }) => [name, services.length])),
  };
}

/** The registry gets the first address of the underlay, the nodes the next ones. */
function portsOf({ underlay, nodes }: { underlay: { cidr: string }; nodes: readonly NodeSpec[] }) {
  const prefix = parsePrefix(underlay.cidr);
  const base = firstAddress(prefix);
  const at = (i: number): Address => ({ ...base, value: base.value + BigInt(i + 1) });
  return ['registry', ...nodes.map(({ name }) => name)].map((namespace, i): PlannedPort => ({
    namespace,
    // Names of links are shorter than names of nodes may be.
    name: `port-${i}`,
    address: formatPrefix({ ...at(i), length: prefix.length }),
  }));
}

const urlOf = (processes: readonly PlannedProcess[], name: string): string =>
  processes.find((process) => process.name === name)?.url ?? '';

function checkSockets(processes: readonly PlannedProcess[]): void {
  for (const { url = '', env } of processes)
    for (const each of [url, env['SPIFFE_ENDPOINT_SOCKET'] ?? '']) checkSocket(each);
}

function checkSocket(url: string): void {
  const path = url.replace('unix://', '');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw new NsmError(
      'invalid-argument',
      `the socket path ${path} is longer than ${MAX_SOCKET_PATH} bytes`,
      { hint: 'keep the state of labs in a folder with a shorter path (NSM_LAB_STATE)' },
    );
}
