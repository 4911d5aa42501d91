import type { LabWire } from '@nsm/lab';
import { eventually } from '../../worlds/world.ts';
import { counting, endpointOf, residueLeft, type Counted, type Mesh } from './mesh.ts';
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

/** Sends 100 packets a second to the endpoint that a client's wire to a service has at the time. */
export function follow({ lab }: Mesh, wire: LabWire): Followed {
  const { client, service } = wire;
  let current = endpointOf(wire);
  let running = true;
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
  const look = async (): Promise<void> => {
    while (running) {
      const wires = await lab.wires();
      const mine = wires.find((each) => each.client === client && each.service === service);
      if (mine && mine.state === 'up' && endpointOf(mine) !== '') current = endpointOf(mine);
      await new Promise((next) => setTimeout(next, EVERY_MS));
    }
  };
  const timer = setInterval(() => {
    const one = send(current).finally(() => under.delete(one));
    under.add(one);
  }, EVERY_MS);
  const looking = look();
  return {
    answer: async (passes) => {
      const since = performance.now();
      const { promise, resolve } = Promise.withResolvers<number>();
      hear = (address, sentAt) => {
        if (sentAt >= since && passes(address)) resolve(performance.now() - since);
      };
      const late = setTimeout(() => resolve(Infinity), PATIENCE_MS);
      const ms = await promise;
      clearTimeout(late);
      return ms;
    },
    stop: async () => {
      running = false;
      clearInterval(timer);
      await looking;
      await Promise.all(under);
      return counted;
    },
  };
}

export const wireTo = async (mesh: Mesh, client: string, service: string): Promise<LabWire> => {
  const wires = await eventually(
    () => mesh.lab.wires(),
    (all) => all.some((w) => w.client === client && w.service === service && w.state === 'up'),
  );
  return wires.find((each) => each.client === client && each.service === service)!;
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
