import { Worker } from 'node:worker_threads';
import { errorFrom } from './error.ts';
import {
  type Buried,
  END,
  type Call,
  type Job,
  type Reply,
  type Result,
  type ThreadData,
} from './job.ts';

/** A thread that runs jobs one after the other. */
export interface Thread {
  /** @throws PlanError, DatapathError; Error when the thread has died */
  run<J extends Job>(job: J): Promise<Result<J>>;
  /** Waits for the jobs under way and ends the thread. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Starts a kernel thread. `onBuried` hears of namespaces with work for the reaper. */
export function startThread(data: ThreadData, onBuried?: (buried: Buried) => void): Thread {
  const waiting = new Map<number, Waiting>();
  const pending = new Set<Promise<unknown>>();
  let last = 0;
  let dead: Error | undefined;
  const fromSource = import.meta.url.endsWith('.ts');
  // A bundle has the thread's program beside itself.
  const worker = new Worker(
    new URL(fromSource ? './worker.ts' : './kernel-worker.mjs', import.meta.url),
    {
      workerData: data,
      // It encodes messages and waits for the kernel: a full-sized heap would be nothing but garbage, and a quarter of this one
      // is collected every seventh wire, which takes a third of a millisecond.
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 },
      ...(fromSource ? { execArgv: ['--conditions=source'] } : {}),
    },
  );
  worker.unref();

  const die = (error: Error): void => {
    dead ??= error;
    for (const { reject } of waiting.values()) reject(dead);
    waiting.clear();
  };
  worker.on('message', ({ id, result, failure, buried }: Reply) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    for (const one of buried) onBuried?.(one);
    if (failure === undefined) call?.resolve(result);
    else call?.reject(errorFrom(failure));
  });
  worker.on('error', (error) =>
    die(new Error(`the kernel thread died: ${String(error)}`, { cause: error })),
  );
  const { promise: exited, resolve: exit } = Promise.withResolvers<undefined>();
  worker.on('exit', () => {
    die(new Error('the kernel thread has ended'));
    exit(undefined);
  });

  const post = async <J extends Job>(job: J): Promise<Result<J>> => {
    if (dead !== undefined) throw dead;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    last += 1;
    waiting.set(last, { resolve, reject });
    // An idle thread shall not keep a process running that is otherwise done.
    worker.ref();
    // As text: a plan is copied in a fraction of the time that a structured clone takes.
    worker.postMessage(JSON.stringify({ id: last, job } satisfies Call));
    return (await promise) as Result<J>;
  };

  return {
    run: (job) => {
      const promise = post(job);
      pending.add(promise);
      return promise.finally(() => pending.delete(promise));
    },
    close: async () => {
      await Promise.allSettled(pending);
      if (dead !== undefined) return;
      worker.ref();
      worker.postMessage(END);
      await exited;
    },
  };
}
