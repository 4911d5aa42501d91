import { identitySocket, keeperId } from './plan-identity.ts';
import type { PlannedProcess, PlanOptions, Program } from './planned.ts';
import { formatRequestUrl } from '@nsm/connection';
import type { ClientSpec, EndpointSpec, Environment, NodeSpec, Topology } from './topology.ts';

/** What the processes of a lab have in common. */
export interface Placement extends PlanOptions {
  readonly lab: Topology;
  /** The underlay address of a node or the registry. */
  addressOf(name: string): string;
}

const REGISTRY_PORT = 5002;
const MANAGER_PORT = 5001;

const socketOf = ({ folder }: Placement, node: string, name: string): string =>
  `unix://${folder}/${node}/${name}.sock`;

/** `tcp://ADDRESS:PORT`, with brackets where they are needed. */
const tcpUrl = (address: string, port: number): string =>
  `tcp://${address.includes(':') ? `[${address}]` : address}:${port}`;

/** The registry listens on a socket as well, since the underlay cannot be reached from outside. */
export function registryProcess(place: Placement): PlannedProcess {
  const { store, env } = place.lab.registry;
  const url = `unix://${place.folder}/registry.sock`;
  return processOf(place, 'registry', 'registry', 'registry', url, {
    NSM_LISTEN_ON: `${tcpUrl(place.addressOf('registry'), REGISTRY_PORT)},${url}`,
    NSM_STORE: store === 'memory' ? 'memory' : `sqlite:${place.folder}/registry.db`,
    ...env,
  });
}

/** The manager and the forwarder of a node. */
export function nodeProcesses(place: Placement, { name: node, env }: NodeSpec): PlannedProcess[] {
  const manager = socketOf(place, node, 'nsm.io');
  const forwarder = socketOf(place, node, 'forwarder');
  const address = place.addressOf(node);
  return [
    processOf(place, 'nsmgr', `nsmgr-${node}`, node, manager, {
      NSM_NAME: node,
      NSM_LISTEN_ON: `${manager},${tcpUrl(address, MANAGER_PORT)}`,
      NSM_REGISTRY_URL: tcpUrl(place.addressOf('registry'), REGISTRY_PORT),
      NODE_NAME: node,
      ...env,
    }),
    processOf(place, 'forwarder', `forwarder-${node}`, node, forwarder, {
      NSM_CONNECT_TO: manager,
      NSM_LISTEN_ON: forwarder,
      NSM_TUNNEL_IP: address,
      NODE_NAME: node,
      ...env,
    }),
  ];
}

/** `registers`: whether it registers its services itself, or the lab has to. */
export function endpointProcess(
  place: Placement,
  spec: EndpointSpec,
  registers: boolean,
): PlannedProcess {
  const { name, node } = spec;
  const url = socketOf(place, node, name);
  const prefixes = spec.prefixes.map((group) =>
    group.length === 1 ? group.join('') : `[${group.join(',')}]`,
  );
  return processOf(place, 'nse', name, name, url, {
    NSM_CONNECT_TO: socketOf(place, node, 'nsm.io'),
    NSM_LISTEN_ON: url,
    NSM_SERVICE_NAMES: spec.services.join(','),
    NSM_PAYLOAD: spec.payload,
    NSM_LABELS: pairs(spec.labels),
    ...(prefixes.length === 0 ? {} : { NSM_CIDR_PREFIX: prefixes.join(',') }),
    ...(registers ? {} : { NSM_REGISTER_SERVICE: 'false' }),
    NODE_NAME: node,
    POD_NAME: name,
    ...spec.env,
  });
}

/** A client; it serves nothing. */
export function clientProcess(place: Placement, spec: ClientSpec): PlannedProcess {
  const { name, node } = spec;
  return processOf(place, 'nsc', name, name, undefined, {
    NSM_CONNECT_TO: socketOf(place, node, 'nsm.io'),
    NSM_NETWORK_SERVICES: spec.services.map(formatRequestUrl).join(','),
    NSM_REQUEST_TIMEOUT: place.requestTimeout ?? '15s',
    NODE_NAME: node,
    POD_NAME: name,
    ...spec.env,
  });
}

// eslint-disable-next-line max-params -- five facts and the place they are put in
function processOf(
  place: Placement,
  program: Program,
  name: string,
  namespace: string,
  url: string | undefined,
  env: Environment,
): PlannedProcess {
  return {
    name,
    program,
    namespace,
    url,
    env: {
      NSM_NAME: name,
      NSM_LOG_LEVEL: place.logLevel ?? 'info',
      NSM_MAX_TOKEN_LIFETIME: place.maxTokenLifetime ?? '10m',
      ...(place.lab.insecure
        ? { NSM_INSECURE: 'true' }
        : {
            SPIFFE_ENDPOINT_SOCKET: identitySocket(place.folder, name),
            NSM_ADMINS: keeperId(place.lab.name),
          }),
      ...env,
      ...place.env?.({ name, program }),
    },
    log: `${place.logFolder ?? `${place.folder}/log`}/${name}.log`,
  };
}

/** A map as the services' settings write it. */
const pairs = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}:${value}`)
    .join(',');
