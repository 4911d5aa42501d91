import type { Thread } from './thread.ts';

/** Deletes buried links in the background, a namespace at a time, each in a thread that waits for the kernel. */
export interface Reaper {
  /** A link waits in this namespace. */
  add(netns: string): void;
  /** Reaps everything at once, then ends the threads. */
  close(): Promise<void>;
}

/** A burst of removals is worth waiting for: deleting a group takes hardly longer than deleting one link. */
const GATHER_MS = 25;

/** A reaper with up to `limit` threads, each made by `start` when there is work for it. */
export function startReaper(start: () => Pick<Thread, 'run' | 'close'>, limit: number): Reaper {
  const queue = new Map<string, number>();
  const threads: Pick<Thread, 'run' | 'close'>[] = [];
  const idle: Pick<Thread, 'run' | 'close'>[] = [];
  const running = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;

  const reap = async (netns: string, thread: Pick<Thread, 'run'>): Promise<void> => {
    try {
      await thread.run({ job: 'reap', netns });
    } catch {
      // What is left is out of service, and the next removal or census in that namespace finds it again.
    }
  };

  const pump = (): void => {
    clearTimeout(timer);
    timer = undefined;
    while (queue.size > 0) {
      const thread = idle.pop() ?? (threads.length < limit ? start() : undefined);
      const netns = fullest(queue);
      if (thread === undefined || netns === undefined) return;
      if (!threads.includes(thread)) threads.push(thread);
      queue.delete(netns);
      const round = reap(netns, thread).then(() => {
        running.delete(round);
        idle.push(thread);
        pump();
      });
      running.add(round);
    }
  };

  return {
    add: (netns) => {
      queue.set(netns, (queue.get(netns) ?? 0) + 1);
      timer ??= setTimeout(pump, GATHER_MS).unref();
    },
    close: async () => {
      pump();
      while (running.size > 0) await Promise.all(running);
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

/** Where most links wait: their other ends, in namespaces of their own, go with them. */
function fullest(queue: ReadonlyMap<string, number>): string | undefined {
  let best: [string, number] | undefined;
  for (const entry of queue) if (best === undefined || entry[1] > best[1]) best = entry;
  return best?.[0];
}
