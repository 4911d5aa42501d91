import type { Buried } from './job.ts';
import type { Thread } from './thread.ts';

/** Deletes buried links in the background, a namespace at a time, each in a thread that waits for the kernel. */
export interface Reaper {
  /** A link waits in this namespace. */
  add(buried: Buried): void;
  /** Reaps everything at once, then ends the threads. */
  close(): Promise<void>;
}

/** A burst of removals is worth waiting for: deleting a group takes hardly longer than deleting one link. */
const GATHER_MS = 25;
/** A thread that had nothing to do for so long ends; each holds some 15 MiB. */
const IDLE_MS = 2_000;

/** A reaper with up to `limit` threads, each made by `start` when there is work for it. */
export function startReaper(start: () => Pick<Thread, 'run' | 'close'>, limit: number): Reaper {
  const queue = new Map<string, number>();
  const numbers = new Map<string, number | undefined>();
  const threads: Pick<Thread, 'run' | 'close'>[] = [];
  const idle: { readonly thread: Pick<Thread, 'run' | 'close'>; readonly end: NodeJS.Timeout }[] =
    [];
  const running = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;

  const reap = async (netns: string, thread: Pick<Thread, 'run'>): Promise<void> => {
    try {
      const nsid = numbers.get(netns);
      numbers.delete(netns);
      await thread.run({ job: 'reap', netns, nsid });
    } catch {
      // What is left is out of service, and the next removal or census in that namespace finds it again.
    }
  };

  const rest = (thread: Pick<Thread, 'run' | 'close'>): void => {
    const end = setTimeout(() => {
      idle.splice(
        idle.findIndex((rested) => rested.thread === thread),
        1,
      );
      threads.splice(threads.indexOf(thread), 1);
      void thread.close();
    }, IDLE_MS).unref();
    idle.push({ thread, end });
  };

  const pump = (): void => {
    clearTimeout(timer);
    timer = undefined;
    while (queue.size > 0) {
      const rested = idle.pop();
      clearTimeout(rested?.end);
      const thread = rested?.thread ?? (threads.length < limit ? start() : undefined);
      const netns = fullest(queue);
      if (thread === undefined || netns === undefined) return;
      if (!threads.includes(thread)) threads.push(thread);
      queue.delete(netns);
      const round = reap(netns, thread).then(() => {
        running.delete(round);
        rest(thread);
        pump();
      });
      running.add(round);
    }
  };

  return {
    add: ({ netns, nsid }) => {
      numbers.set(netns, nsid);
      queue.set(netns, (queue.get(netns) ?? 0) + 1);
      timer ??= setTimeout(pump, GATHER_MS).unref();
    },
    close: async () => {
      pump();
      while (running.size > 0) await Promise.all(running);
      for (const { end } of idle) clearTimeout(end);
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
