import { systemClock, untraced, type Trace } from '@nsm/chain';
import { insecureTokens } from '@nsm/identity';
import { createFakeDatapath, createFakeKernel } from '@nsm/datapath/fake';
import { parseTopology, planLab, wiresFrom, type Plan, type PlannedProcess } from '@nsm/lab';
import { NetworkServiceDefinition, NetworkServiceRegistryDefinition } from '@nsm/proto';
import { createMemoryTransport, type Transport } from '@nsm/rpc';
import { createLife, type Life } from './life.ts';
import type { Mesh } from './mesh.ts';
import { programs } from './programs.ts';
import type { StartWorld, WorldOptions } from './world.ts';

/** The chains of the real services over calls within this process and a kernel in memory. */
export const startMemory = async (
  topology: string,
  options: WorldOptions & { readonly trace?: Trace } = {},
): ReturnType<StartWorld> => {
  const { tokenLifetime, requestTimeout } = options;
  const plan = planLab(parseTopology(topology), {
    folder: '/memory',
    netnsFolder: '/memory/netns',
    maxTokenLifetime: tokenLifetime,
    requestTimeout,
  });
  const places = plan.namespaces.map(({ name }) => name);
  const netns = (pod: string): string => {
    const at = places.indexOf(pod);
    if (at < 0) throw new Error(`no namespace is called ${pod}`);
    return `inode://1/${at + 1}`;
  };
  const transport = createMemoryTransport();
  const kernel = createFakeKernel();
  const looking = createFakeDatapath({ kernel });
  const mesh: Mesh = {
    transport,
    kernel,
    trace: options.trace ?? untraced,
    netns,
    managers: new Map(),
    clients: new Map(),
    registered: () => [],
  };
  const running = new Map<string, Life>();

  const planned = (name: string): PlannedProcess => {
    const found = plan.processes.find((process) => process.name === name);
    if (!found) throw new Error(`no process is called ${name}`);
    return found;
  };
  const start = async (name: string): Promise<void> => {
    await running.get(name)?.end();
    const life = createLife(transport);
    running.set(name, life);
    const { program } = planned(name);
    // Calls within a process prove nobody.
    if (program !== 'identity') await programs[program](planned(name), mesh, life);
  };
  const end = async (name: string): Promise<void> => {
    await running.get(name)?.end();
    running.delete(name);
  };
  for (const { name, program } of plan.processes) {
    await start(name);
    if (program === 'registry') await registerServices(plan, transport);
  }

  const show = (pod: string): string[] => looking.show({ [pod]: netns(pod) });
  const wires = async () =>
    wiresFrom(
      Object.fromEntries(
        [...mesh.managers].map(([node, connections]) => [node, connections.list()]),
      ),
    );
  const clientOf = (name: string) => {
    const client = mesh.clients.get(name);
    if (!client) throw new Error(`no client is called ${name}`);
    return client;
  };
  return {
    connected: async (client) => {
      await clientOf(client).up;
    },
    start,
    end,
    kill: async (name) => {
      running.get(name)?.kill();
      running.delete(name);
    },
    wires,
    ping: async (pod, address) => kernel.reaches(netns(pod), address),
    links: async (pod) => show(pod).filter((line) => / link add /.test(line)),
    refusals: async (client) => clientOf(client).refusals,
    refreshes: async (client) => clientOf(client).refreshes,
    heals: async (client) => clientOf(client).heals,
    tokens: insecureTokens('direct', 600_000, systemClock),
    manager: (node) => transport.client(NetworkServiceDefinition, plan.managerUrls[node] ?? ''),
    netns,
    census: async () => ({
      links: places.flatMap(show),
      wires: await wires(),
      registered: mesh.registered(),
    }),
    stop: async () => {
      for (const { name } of plan.processes.toReversed()) await end(name);
    },
  };
};

/** What a lab registers of services beyond what their endpoints do. */
async function registerServices(
  { registrations, registryUrl }: Plan,
  transport: Transport,
): Promise<void> {
  const registry = transport.client(NetworkServiceRegistryDefinition, registryUrl);
  for (const registration of registrations) await registry.register(registration);
}
