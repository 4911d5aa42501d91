import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { pathOf } from '../path.ts';

/**
 * Lets so many requests of this node's clients through at once; the others wait in the order they came. When all clients of a node ask
 * together, the first are served sooner and none is slowed down by all. What comes from another hop has been admitted where it began.
 */
export const admit = (atOnce: number): ConnectionElement => {
  let under = 0;
  const waiting = new Set<() => void>();

  /** Waits for a place. @throws NsmError when the caller gives up */
  const enter = async (signal: AbortSignal): Promise<void> => {
    // Who has given up already must not stand in the line: a place handed to it would be lost.
    if (signal.aborted) throw NsmError.from(signal.reason);
    if (under < atOnce) {
      under += 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const come = (): void => resolve(undefined);
    const leave = (): void => {
      waiting.delete(come);
      reject(NsmError.from(signal.reason));
    };
    waiting.add(come);
    signal.addEventListener('abort', leave, { once: true });
    try {
      await promise;
    } finally {
      waiting.delete(come);
      signal.removeEventListener('abort', leave);
    }
  };
  /** Hands the place to whoever has waited longest. */
  const leave = (): void => {
    const [first] = waiting;
    if (first === undefined) {
      under -= 1;
      return;
    }
    waiting.delete(first);
    first();
  };

  return {
    name: 'admit',
    async run(call, next) {
      if (pathOf(call.connection).index !== 1) return next(call);
      await enter(call.signal);
      try {
        return await next(call);
      } finally {
        leave();
      }
    },
  };
};
