import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@nsm/chain';
import { svidTokens, tokenHeaders, workloadSource } from '@nsm/identity';
import {
  findEndpoints,
  findServices,
  parseTopology,
  planLab,
  registerServices,
  startOrder,
  wiresFrom,
  connectionsAt,
  type Plan,
} from '@nsm/lab';
import { NetworkServiceDefinition } from '@nsm/proto';
import { createGrpcTransport } from '@nsm/rpc';
import { ping } from '@nsm/netlink';
import { anchorOf, composeFile } from './compose-file.ts';
import { createProject, type Project } from './compose-project.ts';
import { linksOf } from './links.ts';
import { eventually, type StartWorld } from './world.ts';

/** Each look costs a process. */
const PAUSE_MS = 200;

/** Containers made of the templates of docker-compose.yml; needs a container engine, the images, and root. */
export const startCompose: StartWorld = async (
  topology,
  { tokenLifetime, requestTimeout } = {},
) => {
  // The same path inside and outside, so that sockets can be dialled from here.
  const root = mkdtempSync(join(tmpdir(), 'nsm-'));
  const folder = join(root, 'run');
  const plan = planLab(parseTopology(topology), {
    folder,
    netnsFolder: join(root, 'netns'),
    maxTokenLifetime: tokenLifetime,
    requestTimeout,
    env: ({ program }) => (program === 'identity' ? { NSM_SOCKET_MODE: '0666' } : {}),
  });
  // Root without capabilities is refused what belongs to others, as anybody.
  const inside = ['identity', ...Object.keys(plan.managerUrls)].map((name) => join(folder, name));
  for (const path of [folder, ...inside]) {
    mkdirSync(path);
    chmodSync(path, 0o1777);
  }
  chmodSync(root, 0o755);
  const project = createProject(`nsm-test-${plan.name}`, root, composeFile(plan));
  const open = createGrpcTransport();
  const identity = workloadSource({
    dialer: open,
    url: plan.identityUrl ?? '',
    clock: systemClock,
    random: Math.random,
  });
  const transport = createGrpcTransport(identity);
  const tokens = svidTokens(identity, 600_000, systemClock);
  const stop = async (): Promise<void> => {
    transport.close();
    identity.close();
    open.close();
    await project.down();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    await project.up(
      plan.namespaces.flatMap(({ kind, name }) => (kind === 'underlay' ? [] : [anchorOf(name)])),
    );
    for (const program of startOrder) {
      const names = plan.processes.flatMap((each) => (each.program === program ? [each.name] : []));
      if (names.length > 0) await project.up(names);
      await ready(plan, project, names);
      if (program === 'registry')
        await registerServices(transport, plan.registryUrl, plan.registrations, async (server) =>
          tokenHeaders(await tokens.issue(server)),
        );
    }
  } catch (err) {
    await stop();
    throw err;
  }
  const netns = (pod: string): string => project.netns(anchorOf(pod));
  const links = (pod: string): readonly string[] => linksOf(netns(pod));
  const wires = async () =>
    wiresFrom(
      Object.fromEntries(
        await Promise.all(
          Object.entries(plan.managerUrls).map(
            async ([node, url]) =>
              [node, await connectionsAt(transport, url).catch(() => [])] as const,
          ),
        ),
      ),
    );
  return {
    connected: async (client) => {
      await eventually(
        async () =>
          new Set(project.log(client, 'connected').map(({ connection }) => connection)).size,
        (count) => count >= (plan.wires[client] ?? 0),
        30_000,
        PAUSE_MS,
      );
    },
    start: async (process) => {
      await project.start(process);
      await ready(plan, project, [process]);
    },
    end: async (process) => {
      await project.end(process, 'TERM');
    },
    kill: async (process) => {
      await project.end(process, 'KILL');
    },
    wires,
    ping: async (pod, dst) =>
      (await ping({ netns: netns(pod), dst, count: 3, intervalMs: 20, timeoutMs: 500 })).received >
      0,
    links: async (pod) => links(pod),
    refusals: async (client) => project.refusals(client),
    refreshes: async (client) => project.everLogged(client, 'refreshed').length,
    heals: async (client) => project.everLogged(client, 'healed').length,
    tokens,
    manager: (node) => transport.client(NetworkServiceDefinition, plan.managerUrls[node] ?? ''),
    netns: (pod) => {
      const { dev, ino } = statSync(netns(pod), { bigint: true });
      return `inode://${dev}/${ino}`;
    },
    census: async () => ({
      links: Object.fromEntries(
        plan.namespaces
          .filter(({ kind }) => kind !== 'underlay')
          .map(({ name }) => [name, links(name)]),
      ),
      sockets: readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort(),
      services: await findServices(transport, plan.registryUrl),
      endpoints: (await findEndpoints(transport, plan.registryUrl)).map(({ name, url }) => [
        name,
        url,
      ]),
    }),
    stop,
  };
};

/** Waits until processes have said so; clients say it when they have begun. */
async function ready(
  { processes }: Plan,
  project: Project,
  names: readonly string[],
): Promise<void> {
  for (const { name, program } of processes)
    if (names.includes(name) && program !== 'nsc')
      await eventually(
        async () => project.log(name, 'ready').length,
        (count) => count > 0,
        30_000,
        PAUSE_MS,
      );
}
