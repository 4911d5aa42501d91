import { readdirSync, readFileSync } from 'node:fs';

/** What all threads of this process have waited for a CPU while they could have run, in ms (schedstat of proc(5)); 0 where nobody counts. */
function waitedForCpu(): number {
  let ns = 0;
  for (const thread of readdirSync('/proc/self/task'))
    try {
      ns += Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ')[1]);
    } catch {
      // It has ended, or the kernel keeps no such file.
    }
  return ns / 1e6;
}

/**
 * Runs something and tells how long it took, in ms, less what this process waited for a CPU: how long whoever waits for nothing else
 * would have waited, whatever else the machine does.
 */
export async function handlingOf<T>(run: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const [started, waited] = [performance.now(), waitedForCpu()];
  const value = await run();
  return { value, ms: performance.now() - started - (waitedForCpu() - waited) };
}
