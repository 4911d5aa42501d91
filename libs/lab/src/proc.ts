import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NetnsRef } from '@nsm/netlink';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks between the machine's start and the process's (proc(5), stat field 22). */
  readonly startTime: string;
}

/** How often a process that is nobody's child of ours is looked at. */
const EXIT_POLL_MS = 10;

/** The identity of a running process; undefined when there is none, or only its remains (a zombie). */
export function processId(pid: number): ProcessId | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name in field 2 may hold blanks and brackets; the fields after its last bracket do not.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = fields[18];
  if (state === 'Z' || state === 'X' || startTime === undefined) return undefined;
  return { pid, startTime };
}

/** Whether that very process still runs. */
export const isAlive = (id: ProcessId): boolean => processId(id.pid)?.startTime === id.startTime;

/** Sends a signal to that very process; false when it has ended. A stopped process is woken to hear it. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    if (signal === 'SIGTERM' || signal === 'SIGINT') process.kill(id.pid, 'SIGCONT');
    return true;
  } catch {
    return false;
  }
}

/** Resolves when a process that another one started has ended: the kernel tells only parents, so this one has to look. */
export async function foreignExit(id: ProcessId): Promise<void> {
  while (isAlive(id)) await sleep(EXIT_POLL_MS);
}

/** Every process in one of these network namespaces, this one excepted. */
export function processesIn(namespaces: readonly NetnsRef[]): ProcessId[] {
  const wanted = new Set(namespaces.map(({ dev, ino }) => `${dev.toString()}:${ino.toString()}`));
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const { dev, ino } = statSync(`/proc/${pid}/ns/net`, { bigint: true });
      return wanted.has(`${dev.toString()}:${ino.toString()}`) ? (processId(pid) ?? []) : [];
    } catch {
      // It has ended, or is another user's.
      return [];
    }
  });
}
