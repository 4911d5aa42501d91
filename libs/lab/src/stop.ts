import { setTimeout as sleep } from 'node:timers/promises';
import type { NetnsRef } from '@nsm/netlink';
import { startOrder } from './planned.ts';
import { foreignExit, isAlive, type ProcessId, processesIn, signalProcess } from './proc.ts';
import type { Run } from './run.ts';

/** How long a killed process may take to be gone. */
const KILL_LIMIT_MS = 5_000;

/** Ends the processes of a lab in the reverse order of their start. Answers the names of those that had to be killed. */
export async function stopRuns(runs: readonly Run[], graceMs: number): Promise<string[]> {
  const killed: string[] = [];
  for (const program of startOrder.toReversed()) {
    const group = runs.filter((run) => run.process.program === program && run.alive());
    await Promise.all(
      group.map(async (run) => {
        if (await endRun(run, 'SIGTERM', graceMs)) return;
        killed.push(run.process.name);
        if (!(await endRun(run, 'SIGKILL', KILL_LIMIT_MS)))
          throw new Error(`${run.process.name} (pid ${run.id.pid}) cannot be killed`);
      }),
    );
  }
  return killed;
}

/** Ends whatever else runs in the namespaces of a lab, as shells and the children of killed processes do. */
export async function sweepProcesses(namespaces: readonly NetnsRef[]): Promise<void> {
  if (namespaces.length === 0) return;
  for (const [signal, limitMs] of [
    ['SIGTERM', 1_000],
    ['SIGKILL', KILL_LIMIT_MS],
  ] as const) {
    const found = processesIn(namespaces);
    for (const id of found) signalProcess(id, signal);
    await within(limitMs, Promise.all(found.map(foreignExit)));
  }
}

/** Ends the process that holds a lab, which takes it down. */
export async function endHolder(holder: ProcessId, limitMs: number): Promise<void> {
  signalProcess(holder, 'SIGTERM');
  await within(limitMs, foreignExit(holder));
  if (isAlive(holder)) signalProcess(holder, 'SIGKILL');
}

/** Sends a signal and waits for the end; false when it did not come within the limit. */
export async function endRun(run: Run, signal: NodeJS.Signals, limitMs: number): Promise<boolean> {
  if (!run.alive()) return true;
  signalProcess(run.id, signal);
  return within(limitMs, run.exited);
}

/** Whether a promise settles within a time. */
async function within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(limitMs, false, { signal: timer.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}
