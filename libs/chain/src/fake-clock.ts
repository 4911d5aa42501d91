import type { Clock } from './clock.ts';

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  /** Lets `ms` pass: due actions run in order of time, and what they started gets its turns in between. */
  advance(ms: number): Promise<void>;
  /** How many actions wait. */
  readonly pending: number;
}

export function createFakeClock(startMs = 1_700_000_000_000): FakeClock {
  let now = startMs;
  let order = 0;
  const waiting = new Map<number, { at: number; action: () => void }>();
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    after: (ms, action) => {
      const id = ++order;
      waiting.set(id, { at: now + Math.max(0, ms), action });
      return () => void waiting.delete(id);
    },
    get pending() {
      return waiting.size;
    },
    advance: async (ms) => {
      const until = now + ms;
      await settle();
      for (;;) {
        const [next] = [...waiting]
          .filter(([, { at }]) => at <= until)
          .sort(([i, a], [j, b]) => a.at - b.at || i - j);
        if (!next) break;
        const [id, { at, action }] = next;
        waiting.delete(id);
        now = Math.max(now, at);
        action();
        await settle();
      }
      now = until;
      await settle();
    },
  };
}
