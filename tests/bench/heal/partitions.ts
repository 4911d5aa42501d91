import { NetworkService } from '@nsm/proto';
import type { WatchEvent } from '@nsm/registry';
import type { NetworkServiceEndpoint } from '@nsm/proto';
import { eventually } from '../../worlds/world.ts';
import { allUp, counting, registryAt, type Mesh } from './mesh.ts';
import { heard, joined } from './network.ts';
import type { Scenario } from './scenario.ts';

const APART_MS = 4_000;
const NODES = ['n1', 'n2', 'n3', 'n4'];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything the manager of a node says of endpoints and services, in the order it says it. */
function history(mesh: Mesh, node: string) {
  const leave = new AbortController();
  const endpoints: WatchEvent<NetworkServiceEndpoint>[] = [];
  const services: string[] = [];
  const client = registryAt(mesh, mesh.lab.plan.managerUrls[node] ?? '');
  const both = Promise.all([
    client.endpoints.follow({}, leave.signal, (event) => endpoints.push(event)),
    client.services.follow({}, leave.signal, (event) => {
      if (event.type === 'put') services.push(event.entry.name);
    }),
  ]);
  return {
    endpoints,
    services,
    synced: () =>
      eventually(
        async () => endpoints.some(({ type }) => type === 'synced'),
        (yes) => yes,
      ),
    stop: async () => {
      leave.abort();
      await both;
    },
  };
}

/** Against a model: an endpoint that is there is not deleted, and one that is not is not deleted again. */
function faultOf(
  told: readonly WatchEvent<NetworkServiceEndpoint>[],
  there: readonly string[],
): string | undefined {
  const known = new Set<string>();
  const deleted = told.flatMap((event) => (event.type === 'deleted' ? [event.entry.name] : []));
  if (deleted.length > 0) return `flapped: ${deleted.join(', ')}`;
  for (const event of told) if (event.type === 'put') known.add(event.entry.name);
  const missing = there.filter((name) => !known.has(name));
  return missing.length > 0 ? `never told: ${missing.join(', ')}` : undefined;
}

let changes = 0;
/** The registry and the nodes are kept apart, while something is registered; then all watchers shall know it. */
const partition = (
  name: string,
  apart: (mesh: Mesh) => Promise<void>,
  together: (mesh: Mesh) => void,
): Scenario => ({
  name: `registry and nodes apart, ${name}`,
  until: 'all watchers know',
  deadlineMs: 2_000,
  run: async (mesh) => {
    const { plan } = mesh.lab;
    const registry = registryAt(mesh, plan.registryUrl);
    const watchers = NODES.map((node) => history(mesh, node));
    await Promise.all(watchers.map(({ synced }) => synced()));
    const there = plan.processes.flatMap((each) => (each.program === 'nse' ? [each.name] : []));
    const change = `news-${(changes += 1)}`;
    const { result: ms, ...others } = await counting(mesh, await allUp(mesh), async () => {
      await apart(mesh);
      await registry.services.register(NetworkService.fromPartial({ name: change, payload: 'IP' }));
      together(mesh);
      const started = performance.now();
      await eventually(
        async () => watchers.every(({ services }) => services.includes(change)),
        (all) => all,
        30_000,
        10,
      );
      return performance.now() - started;
    });
    // What comes late comes within the time of a few refreshes of the watch.
    await pause(1_000);
    await Promise.all(watchers.map(({ stop }) => stop()));
    const [fault] = watchers.flatMap(({ endpoints, services }) => {
      const times = services.filter((name) => name === change).length;
      return times === 1 ? (faultOf(endpoints, there) ?? []) : [`told ${times} times`];
    });
    return { ms, others, residue: 0, fault };
  },
});

export const partitionScenarios: readonly Scenario[] = [
  partition(
    'both ways',
    async (mesh) => {
      joined(mesh, 'registry', false);
      await pause(APART_MS);
    },
    (mesh) => joined(mesh, 'registry', true),
  ),
  partition(
    'one way (nothing from the registry arrives)',
    async (mesh) => {
      for (const node of NODES) heard(mesh, 'registry', node, false);
      await pause(APART_MS);
    },
    (mesh) => {
      for (const node of NODES) heard(mesh, 'registry', node, true);
    },
  ),
  partition(
    'flapping',
    async (mesh) => {
      for (let i = 0; i < 8; i += 1) {
        joined(mesh, 'registry', i % 2 === 1);
        await pause(APART_MS / 8);
      }
      joined(mesh, 'registry', false);
    },
    (mesh) => joined(mesh, 'registry', true),
  ),
];
