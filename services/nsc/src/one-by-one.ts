import { pause, type Clock } from '@nsm/chain';
import type { ConnectionElement } from '@nsm/connection';

/** How long a wire waits for those before it, in ms: one that hangs holds up nobody for good. */
const PATIENCE_MS = 1_000;

/** Asks for wires that were never up one after the other, so that each knows what those before it have got. */
export function oneByOne(clock: Clock): ConnectionElement {
  const up = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();
  return {
    name: 'one-by-one',
    async run(call, next) {
      const { id } = call.connection;
      if (up.has(id)) return next(call);
      const before = last;
      const done = Promise.withResolvers<undefined>();
      last = done.promise;
      try {
        const turn = new AbortController();
        void before.then(() => turn.abort());
        await pause(clock, PATIENCE_MS, AbortSignal.any([turn.signal, call.signal]));
        const answer = await next(call);
        up.add(id);
        return answer;
      } finally {
        done.resolve(undefined);
      }
    },
  };
}
