import type { LabWire } from '@nsm/lab';
import {
  ConnectionEventType,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  State,
} from '@nsm/proto';
import { eventually } from '../../worlds/world.ts';
import { bare, counting, endpointOf, isUp, residueLeft, type Counted, type Mesh } from './mesh.ts';
import type { Run } from './scenario.ts';

const EVERY_MS = 10;
/** How long a scenario waits for a wire. */
const PATIENCE_MS = 30_000;
/** How long a numbered packet may take to be answered. */
const LATE_MS = 1_000;

/** A wire whose endpoint may change, and the packets that are sent to whichever it has. */
export interface Followed {
  /** How long it takes from now until a packet that was sent meanwhile is answered by an endpoint that passes, in ms; Infinity: too long. */
  answer(passes: (address: string) => boolean): Promise<number>;
  stop(): Promise<Counted>;
}

/** Sends 100 packets a second to the endpoint that a client's wire to a service has at the time, as the manager of its node tells. */
export function follow({ lab }: Mesh, wire: LabWire): Followed {
  const { client, connection } = wire;
  let current = endpointOf(wire);
  const watching = new AbortController();
  const counted = { sent: 0, lost: 0 };
  let hear = (_address: string, _sentAt: number): void => undefined;
  const under = new Set<Promise<void>>();
  const send = async (dst: string): Promise<void> => {
    counted.sent += 1;
    const sentAt = performance.now();
    const { received } = await lab
      .ping(client, dst, { count: 1, timeoutMs: LATE_MS })
      .catch(() => ({ received: 0 }));
    if (received === 0) counted.lost += 1;
    else hear(dst, sentAt);
  };
  const watch = async (): Promise<void> => {
    const events = lab.dialer
      .client(MonitorConnectionDefinition, lab.plan.managerUrls[wire.node] ?? '')
      .monitorConnections(MonitorScopeSelector.create(), { signal: watching.signal });
    for await (const { type, connections } of events)
      for (const { path, context, state } of Object.values(connections)) {
        const [origin] = path?.pathSegments ?? [];
        const to = bare(context?.ipContext?.dstIpAddrs[0]);
        const mine = origin?.name === client && origin.id === connection && path?.index === 1;
        const up = type !== ConnectionEventType.DELETE && state === State.UP;
        if (mine && up && to !== '') current = to;
      }
  };
  const timer = setInterval(() => {
    const one = send(current).finally(() => under.delete(one));
    under.add(one);
  }, EVERY_MS);
  // One that ends before it is told to has failed.
  const watched = watch().catch(() => undefined);
  return {
    answer: async (passes) => {
      const since = performance.now();
      const { promise, resolve } = Promise.withResolvers<number>();
      hear = (address, sentAt) => {
        if (sentAt >= since && passes(address)) resolve(performance.now() - since);
      };
      const late = setTimeout(() => resolve(Infinity), PATIENCE_MS);
      const ms = await Promise.race([promise, watched.then(() => Infinity)]);
      clearTimeout(late);
      return ms;
    },
    stop: async () => {
      watching.abort();
      clearInterval(timer);
      await watched;
      await Promise.all(under);
      return counted;
    },
  };
}

/** The wire of a client to a service, once it is up. */
export const wireTo = async (mesh: Mesh, client: string, service: string): Promise<LabWire> => {
  const its = (wire: LabWire): boolean => wire.client === client && wire.service === service;
  const wires = await eventually(
    () => mesh.lab.wires(),
    (all) => all.some((wire) => its(wire) && isUp(wire)),
  );
  return wires.find(its)!;
};

/** Does something after which a wire has to go to another endpoint, and counts from there; wires to other services shall not notice. */
export async function moving(
  mesh: Mesh,
  wire: LabWire,
  bystanders: readonly LabWire[],
  happen: () => Promise<void>,
): Promise<Run> {
  const followed = follow(mesh, wire);
  const { result: ms, ...others } = await counting(mesh, bystanders, async () => {
    const moved = followed.answer((address) => address !== endpointOf(wire));
    await happen();
    return moved;
  });
  const own = await followed.stop();
  const stale = mesh.lab
    .addresses(wire.client)
    .flatMap(({ addresses }) => addresses)
    .filter((address) => wire.clientAddresses.includes(address));
  return {
    ms,
    own,
    others,
    residue: await residueLeft(mesh),
    ...(stale.length > 0 && { fault: `${stale.join(', ')} of the old wire is still there` }),
  };
}
