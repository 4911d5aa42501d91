import { systemClock } from '@nsm/chain';
import { createPolicies } from '@nsm/policy';
import { connectionsAt, type LabWire } from '@nsm/lab';
import { listLinks, withRtnetlink } from '@nsm/netlink';
import { registryClient, type RegistryClient } from '@nsm/registry';
import { NsmError } from '@nsm/rpc';
import type { startNetns } from '../../worlds/netns.ts';
import { startStream } from '../../worlds/stream.ts';
import { eventually } from '../../worlds/world.ts';
import { make, unmake } from '../lib/requests.ts';

/** The lifetime of tokens where it is waited for: what does not come back is known to be gone after it. */
export const LEASE = '5s';

/** A mesh whose processes are ended and whose network is cut. */
export type Mesh = Awaited<ReturnType<typeof startNetns>>;

/** The registry at a URL, called as whoever looks after the mesh. */
export const registryAt = ({ lab, tokens }: Mesh, url: string): RegistryClient =>
  registryClient(lab.dialer, url, {
    tokens,
    policies: createPolicies(),
    clock: systemClock,
    random: Math.random,
  });

/** An address without the length of its prefix. */
export const bare = (address = ''): string => address.split('/')[0] ?? '';
/** Where the other end of a wire answers. */
export const endpointOf = ({ endpointAddresses }: LabWire): string => bare(endpointAddresses[0]);

/** What came of a time in which packets were counted. */
export interface Counted {
  readonly sent: number;
  readonly lost: number;
}

/** Sends 100 numbered packets a second through each wire from either end until `during` is over, and counts those that got lost. */
export async function counting<T>(
  { lab }: Mesh,
  wires: readonly LabWire[],
  during: () => Promise<T>,
): Promise<{ result: T } & Counted> {
  // Who has just been connected may not know its neighbour yet.
  for (const wire of wires)
    await eventually(
      () => lab.ping(wire.client, endpointOf(wire), { count: 1 }),
      ({ received }) => received > 0,
    );
  const streams = wires.flatMap((wire) => [
    startStream(lab, wire.client, [endpointOf(wire)]),
    startStream(lab, wire.endpoint, [bare(wire.clientAddresses[0])]),
  ]);
  let streamed: Awaited<ReturnType<(typeof streams)[number]['stop']>>[] = [];
  let result: T;
  try {
    result = await during();
  } finally {
    streamed = await Promise.all(streams.map((stream) => stream.stop()));
  }
  const all = streamed.flat();
  return {
    result,
    sent: all.reduce((sum, { sent }) => sum + sent, 0),
    lost: all.reduce((sum, { lost }) => sum + lost, 0),
  };
}

/** Asks again while a hop cannot be reached yet, as clients do. */
async function persist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof NsmError && error.retry)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

let made = 0;
/** How long it takes from now until a new wire to each of the services is there, in ms; they are taken down again. */
export async function newWires(
  mesh: Mesh,
  pod: string,
  services: readonly string[],
): Promise<number> {
  const started = performance.now();
  const wires = await Promise.all(
    services.map((service) => persist(() => make(mesh, 'n1', pod, service, (made += 1)))),
  );
  const ms = performance.now() - started;
  await unmake(mesh, 'n1', wires);
  return ms;
}

/** Whether the manager next to the client says so: one further down the path knows a wire before it is there. */
export const isUp = ({ state, node }: LabWire): boolean => state === 'up' && node !== '';

/** Waits until every client has its wires and all of them are up. */
export const allUp = (mesh: Mesh, limitMs = 30_000): Promise<readonly LabWire[]> => {
  const wanted = Object.values(mesh.lab.plan.wires).reduce((sum, count) => sum + count, 0);
  return eventually(
    () => mesh.lab.wires(),
    (wires) => wires.length === wanted && wires.every(isUp),
    limitMs,
  );
};

/** Links of the mesh in any namespace, and connections at any hop, that belong to no wire of a client that there is. */
async function residue(mesh: Mesh): Promise<number> {
  const { lab } = mesh;
  const wires = await lab.wires();
  const links = lab.plan.namespaces.flatMap(({ path }) => {
    try {
      return withRtnetlink(path, listLinks).filter(({ alias }) => alias.startsWith('nsm:'));
    } catch {
      return []; // a pod that is gone
    }
  });
  const ids = new Set(wires.map(({ client, connection }) => `${client} ${connection}`));
  const hops = lab.processes().flatMap(({ name, alive }) => {
    const url = lab.plan.processes.find((process) => process.name === name)?.url;
    const speaks = !/^(registry|identity)/.test(name);
    return alive && speaks && url !== undefined ? [url] : [];
  });
  const known = (await Promise.all(hops.map((url) => connectionsAt(lab.dialer, url)))).flat();
  const stale = known.filter(({ path }) => {
    const [first] = path?.pathSegments ?? [];
    return !ids.has(`${first?.name} ${first?.id}`);
  });
  // Each wire has two ends.
  return Math.abs(links.length - 2 * wires.length) + stale.length;
}

/** Waits until nothing is left over; answers what still is. */
export async function residueLeft(mesh: Mesh, limitMs = 10_000): Promise<number> {
  let last = 0;
  await eventually(
    async () => (last = await residue(mesh)),
    (left) => left === 0,
    limitMs,
    100,
  ).catch(() => undefined);
  return last;
}
