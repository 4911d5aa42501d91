import { direct, requestFrom } from './direct.ts';
import type { World } from './world.ts';

/** What became of requests. */
export interface Cycled {
  readonly connected: number;
  readonly cancelled: number;
}

const AT_ONCE = 8;
/** Some give up before the request is out, some after the answer is there. */
const PATIENCE_MS = 60;

/**
 * Makes wires from a pod to `near` and `far` in turn and closes them, `count` times, a few at a time. Of every two, one has a caller
 * that gives up at a random moment.
 * @param random numbers in [0, 1)
 * @param before how many were made before: what was given up is not gone yet, and nobody else may have its name
 */
export async function cycle(
  world: World,
  pod: string,
  count: number,
  random: () => number,
  before = 0,
): Promise<Cycled> {
  const speak = direct(world, 'n1');
  const done = { connected: 0, cancelled: 0 };
  let last = 0;

  const once = async (n: number): Promise<void> => {
    const id = `cycle-${n}`;
    const request = requestFrom(world, pod, n % 2 === 0 ? 'near' : 'far', {
      connection: { id, path: { index: 0, pathSegments: [{ name: 'cycle', id }] } },
      mechanismPreferences: [
        { cls: 'LOCAL', type: 'KERNEL', parameters: { name: `r${n}`, inodeURL: world.netns(pod) } },
      ],
    });
    const patience = new AbortController();
    const timer =
      random() < 0.5 ? setTimeout(() => patience.abort(), random() * PATIENCE_MS) : undefined;
    try {
      const connection = await speak.request(request, {
        signal: patience.signal,
        deadline: Date.now() + 30_000,
      });
      clearTimeout(timer);
      await speak.close(connection);
      done.connected += 1;
    } catch (error) {
      if (!patience.signal.aborted) throw error;
      done.cancelled += 1;
    }
  };
  const worker = async (): Promise<void> => {
    while (last < count) await once(before + (last += 1));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return done;
}
