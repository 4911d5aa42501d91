import { NetworkServiceRequest } from '@nsm/proto';
import { direct } from '../../worlds/direct.ts';
import { requestFrom } from '../../worlds/direct.ts';
import type { World } from '../../worlds/world.ts';

type Connection = Awaited<ReturnType<ReturnType<typeof direct>['request']>>;

/** A wire that a benchmark made, and how long its Request took in ms. */
export interface Made {
  readonly ms: number;
  readonly connection: Connection;
}

/** Asks the manager of a node for a wire to `service`; when it answers, the interface is there with its addresses. */
export async function make(
  world: World,
  node: string,
  pod: string,
  service: string,
  n: number,
): Promise<Made> {
  const id = `bench-${n}`;
  const request = requestFrom(world, pod, service, {
    connection: { id, path: { index: 0, pathSegments: [{ name: 'bench', id }] } },
    mechanismPreferences: [
      { cls: 'LOCAL', type: 'KERNEL', parameters: { name: `b${n}`, inodeURL: world.netns(pod) } },
    ],
  });
  const started = performance.now();
  const connection = await direct(world, node).request(request, { deadline: Date.now() + 30_000 });
  return { ms: performance.now() - started, connection };
}

/** Asks for a wire again, as a client does before its token ends; answers it as it is now. */
export const refresh = (world: World, node: string, connection: Connection): Promise<Connection> =>
  direct(world, node).request(NetworkServiceRequest.fromPartial({ connection }), {
    deadline: Date.now() + 30_000,
  });

/** Takes wires down, a few at a time. */
export async function unmake(world: World, node: string, made: readonly Made[]): Promise<void> {
  const left = [...made];
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next; next = left.pop())
      await direct(world, node).close(next.connection);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
