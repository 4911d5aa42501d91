import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@nsm/chain';
import { insecureTokens, svidTokens } from '@nsm/identity';
import { bundledPrograms, parseTopology, startLab, type Lab } from '@nsm/lab';
import { createPolicies } from '@nsm/policy';
import {
  ConnectionEventType,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  type Connection,
  type ConnectionEvent,
  NetworkService,
  type NetworkServiceEndpointResponse,
  NetworkServiceEndpointQuery,
  NetworkServiceEndpointRegistryDefinition,
} from '@nsm/proto';
import { registryClient } from '@nsm/registry';
import { eventually } from '../worlds/world.ts';
import { PROXY_URL, startProxies, UNDERLAY } from './proxies.ts';

/** Programs that upstream's chains can stand in for. */
export const positions = ['nsc', 'nse', 'nsmgr', 'registry', 'forwarder'] as const;
export type Position = (typeof positions)[number];

/** What a mesh is made of. */
export interface MeshOptions {
  /** The positions that upstream's code is in. */
  readonly upstream: readonly Position[];
  /** The program that holds upstream's chains. */
  readonly binary: string;
  readonly insecure: boolean;
  /** Where the logs of its processes go, and stay. */
  readonly logFolder: string;
}

/** A line of a program's log, ours or upstream's. */
interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly connection?: string;
  readonly endpoint?: string;
  /** Of `descriptors`: how many came and went since the program was started. */
  readonly received?: number;
  readonly sent?: number;
}

/** A running mesh, and everything its managers and its registry have told since it was started. */
export interface Mesh extends MeshOptions {
  readonly lab: Lab;
  /** Events of a manager's monitor stream, by node. */
  readonly events: Readonly<Record<string, readonly ConnectionEvent[]>>;
  /** What a watch of the endpoints tells, at the registry and through the manager of n1. */
  readonly watches: Readonly<Record<string, readonly NetworkServiceEndpointResponse[]>>;
  readonly log: (process: string) => readonly LogLine[];
  /** Has the service of the twins chosen by this label of theirs, or without a rule. */
  readonly choose: (at?: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** How long a token of a client lasts, in ms: an abandoned wire goes within this time, and is refreshed in a fifth of it. */
export const CLIENT_TOKEN_MS = 20_000;
/** How long an abandoned registration lasts, in ms. Upstream's clients refresh too late for anything much shorter. */
export const REGISTRATION_MS = 60_000;

const topology = (insecure: boolean): string => `
name: interop
insecure: ${insecure}
underlay: { cidr: ${UNDERLAY} }
registry: { env: { NSM_PROXY_REGISTRY_URL: "${PROXY_URL}" } }
nodes: { n1: {}, n2: {} }
services: { near: { payload: IP }, far: { payload: IP }, twin: { payload: IP }, row: { payload: IP }, missing: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.1.0/24] }
  nse-far: { node: n2, services: [far], prefixes: [172.16.2.0/24] }
  twin-n1: { node: n1, services: [twin], prefixes: [172.16.3.0/24], labels: { at: n1 }, env: { NSM_REGISTER_SERVICE: 'false' } }
  twin-n2: { node: n2, services: [twin], prefixes: [172.16.4.0/24], labels: { at: n2 }, env: { NSM_REGISTER_SERVICE: 'false' } }
  wall: { node: n1, services: [row], labels: { at: wall }, env: { NSM_PASS_THROUGH: 'true', NSM_REGISTER_SERVICE: 'false' } }
  behind: { node: n2, services: [row], prefixes: [172.16.5.0/24], labels: { at: behind }, env: { NSM_REGISTER_SERVICE: 'false' } }
clients:
  alice: { node: n1, services: [kernel://near/nsm-1, kernel://missing/nsm-2] }
  bob: { node: n1, services: [kernel://far/nsm-1] }
  dave: { node: n1, services: [kernel://far/nsm-1], env: { NSM_NETWORK_SERVICES: kernel://far@other/nsm-1 } }
  erin: { node: n1, services: [kernel://row/nsm-1] }
  carol: { node: n1, services: [kernel://twin/nsm-1], env: { NSM_LIVENESS_CHECK_ENABLED: 'false' } }
`;

export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const { upstream, binary, insecure, logFolder } = options;
  rmSync(logFolder, { recursive: true, force: true });
  const stateRoot = mkdtempSync(join(tmpdir(), 'nsm-'));
  const ours = bundledPrograms();
  const theirs = Object.fromEntries(upstream.map((program) => [program, [binary, program]]));
  const lab = await startLab(parseTopology(topology(insecure)), {
    places: { stateRoot, netnsFolder: join(stateRoot, 'netns') },
    programs: { ...ours, ...theirs },
    requestTimeout: '5s',
    logFolder,
    env: ({ program }) => ({
      ...(upstream.some((position) => position === program) && { NSM_COUNT_DESCRIPTORS: 'true' }),
      ...(program === 'nsc' && { NSM_MAX_TOKEN_LIFETIME: `${CLIENT_TOKEN_MS}ms` }),
    }),
  }).catch((thrown: unknown) => {
    rmSync(stateRoot, { recursive: true, force: true });
    throw thrown;
  });
  startProxies(lab, options);
  const services = servicesOf(lab);
  await services.register(ROW);
  const choose = chooserOf(services);
  await choose('n1');
  const stopping = new AbortController();
  const { events, watches, ended } = listenTo(lab, stopping.signal);
  return {
    ...options,
    lab,
    events,
    watches,
    log: (process) => logOf(lab, process),
    choose,
    stop: async () => {
      stopping.abort();
      await ended;
      await lab.stop();
      rmSync(stateRoot, { recursive: true, force: true });
    },
  };
}

/** From the client to `wall`, and from there to the endpoint behind it. */
const ROW = NetworkService.fromPartial({
  name: 'row',
  payload: 'IP',
  matches: [
    {
      sourceSelector: { at: 'wall' },
      routes: [{ destinationSelector: { at: 'behind' } }],
    },
    { routes: [{ destinationSelector: { at: 'wall' } }] },
  ],
});

type Services = ReturnType<typeof registryClient>['services'];

/** Where whoever looks after the lab registers services. */
const servicesOf = ({ dialer, identity, plan }: Lab): Services =>
  registryClient(dialer, plan.registryUrl, {
    tokens: identity
      ? svidTokens(identity, 600_000, systemClock)
      : insecureTokens('interop', 600_000, systemClock),
    policies: createPolicies(),
    clock: systemClock,
    random: Math.random,
  }).services;

/** Registers the service of the twins anew; nobody but whoever looks after the lab does. */
function chooserOf(services: Services): Mesh['choose'] {
  let path: Parameters<typeof services.register>[1];
  return async (at) => {
    const destinationSelector = at === undefined ? {} : { at };
    const twin = { name: 'twin', payload: 'IP', matches: [{ routes: [{ destinationSelector }] }] };
    path = await services.register(NetworkService.fromPartial(twin), path);
  };
}

/** Connections a node's manager knows, by what its events say. */
function known({ events }: Mesh, node: string): Connection[] {
  const table = new Map<string, Connection>();
  for (const { type, connections } of events[node] ?? [])
    for (const [id, connection] of Object.entries(connections))
      if (type === ConnectionEventType.DELETE) table.delete(id);
      else table.set(id, connection);
  return [...table.values()];
}

/** The connection of a client's first wire at the manager of a node. */
export const wireOf = (mesh: Mesh, node: string, client: string): Connection | undefined =>
  known(mesh, node).find(({ path }) => path?.pathSegments[0]?.id === `${client}-0`);

/** Waits until a condition holds; `what` says in a failure what was waited for. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 15_000,
): Promise<void> {
  try {
    await eventually(async () => holds(), Boolean, limitMs);
  } catch {
    throw new Error(`${what}: not within ${limitMs / 1_000} s`);
  }
}

function listenTo(lab: Lab, signal: AbortSignal) {
  const { managerUrls, registryUrl } = lab.plan;
  const events: Record<string, ConnectionEvent[]> = {};
  const watches: Record<string, NetworkServiceEndpointResponse[]> = {};
  const streams = [
    ...Object.entries(managerUrls).map(async ([node, url]) =>
      collect(
        lab.dialer
          .client(MonitorConnectionDefinition, url)
          .monitorConnections(MonitorScopeSelector.create(), { signal }),
        (events[node] = []),
      ),
    ),
    ...Object.entries({ registry: registryUrl, manager: managerUrls['n1'] ?? '' }).map(
      async ([name, url]) =>
        collect(
          lab.dialer
            .client(NetworkServiceEndpointRegistryDefinition, url)
            .find(
              NetworkServiceEndpointQuery.fromPartial({ networkServiceEndpoint: {}, watch: true }),
              { signal },
            ),
          (watches[name] = []),
        ),
    ),
  ];
  return { events, watches, ended: Promise.all(streams) };
}

/** A stream that breaks is seen by what is missing afterwards. */
async function collect<T>(stream: AsyncIterable<T>, into: T[]): Promise<void> {
  try {
    for await (const item of stream) into.push(item);
  } catch {
    // Its end, or that of its server.
  }
}

function logOf(lab: Lab, process: string): LogLine[] {
  const log = lab.processes().find(({ name }) => name === process)?.log ?? '';
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}
