import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inNetns } from '@nsm/netlink';
import { HealthCheckResponse_ServingStatus as Serving, HealthDefinition } from '@nsm/proto';
import { type Dialer, NsmError } from '@nsm/rpc';
import { followLog, problemsIn, readLog } from './log-file.ts';
import type { PlannedProcess } from './planned.ts';
import { foreignExit, isAlive, type ProcessId, processId } from './proc.ts';

/** A process of a lab that was started, by this process or by another one. */
export interface Run {
  readonly process: PlannedProcess;
  readonly id: ProcessId;
  /** Where its output starts in its log. */
  readonly logOffset: number;
  /** Settles when it has ended, with how. */
  readonly exited: Promise<string>;
  alive(): boolean;
}

/** mallopt(3): an arena per thread is memory nobody uses twice, and large blocks shall go back when they are freed. */
const SMALL_ALLOCATOR = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '65536',
};

const RETRY_MS = 100;

/**
 * Starts a process inside a namespace, in a process group of its own: a Ctrl-C is for who holds the lab, not for its parts.
 * @throws NsmError not-found when the program cannot be started
 */
export async function startRun(
  planned: PlannedProcess,
  command: readonly string[],
  netns: string,
): Promise<Run> {
  const [program = '', ...args] = command;
  mkdirSync(dirname(planned.log), { recursive: true });
  const out = openSync(planned.log, 'a');
  const logOffset = statSync(planned.log).size;
  let child: ChildProcess;
  try {
    const { PATH = '' } = process.env;
    const env = { PATH, ...SMALL_ALLOCATOR, ...planned.env };
    child = inNetns(netns, () =>
      spawn(program, args, { env, detached: true, stdio: ['ignore', out, out] }),
    );
  } finally {
    closeSync(out);
  }
  // A lab may outlive the process that started it; who waits for its processes has a timer or a signal to wait with.
  child.unref();
  if (child.pid === undefined) {
    const [cause] = (await once(child, 'error')) as [Error];
    throw new NsmError('not-found', `${planned.name} cannot be started: ${cause.message}`, {
      cause,
      hint: `the program is ${command.join(' ')}`,
    });
  }
  // A process that has ended already is a zombie now, and gets a start time nobody shares.
  const id = processId(child.pid) ?? { pid: child.pid, startTime: '' };
  return { process: planned, id, logOffset, exited: exitOf(child), alive: () => isAlive(id) };
}

/** A run that another process started. */
export const foreignRun = (
  planned: PlannedProcess,
  { logOffset, ...id }: ProcessId & { readonly logOffset: number },
): Run => {
  let exit: Promise<string> | undefined;
  return {
    process: planned,
    id,
    logOffset,
    // Looking costs, so it starts with the first who asks.
    get exited() {
      return (exit ??= foreignExit(id).then(() => ''));
    },
    alive: () => isAlive(id),
  };
};

/** Waits until a process says it is ready and, where it serves, answers that it does. @throws NsmError unavailable, deadline */
export async function waitReady(run: Run, dialer: Dialer, signal: AbortSignal): Promise<void> {
  const { name, url } = run.process;
  try {
    const isReady = ({ msg }: { msg?: string }): true | undefined =>
      msg === 'ready' ? true : undefined;
    const ended = run.exited;
    const ready = await followLog(run.process.log, run.logOffset, isReady, { ended, signal });
    if (ready === undefined)
      throw new NsmError('unavailable', `${name} ended (${await ended}) before it was ready`);
    if (url !== undefined) await serving(dialer, url, { ended, signal });
  } catch (error) {
    throw explained(run, signal.aborted ? signal.reason : error);
  }
}

/** A failure with what the log of a process says about it. */
export function explained(run: Run, thrown: unknown): NsmError {
  const error =
    Error.isError(thrown) && thrown.name === 'TimeoutError'
      ? new NsmError('deadline', `${run.process.name} was not ready in time`, { cause: thrown })
      : NsmError.from(thrown);
  const said = problemsIn(readLog(run.process.log, run.logOffset));
  if (said.length === 0) return error;
  const message = [`${error.message}; it said:`, ...said.map((line) => `  ${line}`)].join('\n');
  return new NsmError(error.code, message, error.fields(error));
}

/** Waits until a process answers that it serves. On a busy machine a connection may take longer than one is waited for: it is tried again. */
async function serving(
  dialer: Dialer,
  url: string,
  { ended, signal }: { readonly ended: Promise<unknown>; readonly signal: AbortSignal },
): Promise<void> {
  const health = dialer.client(HealthDefinition, url);
  const life = { over: false };
  void ended.then(() => (life.over = true));
  let service = 'startup';
  for (;;)
    try {
      for await (const { status } of health.watch({ service }, { signal })) {
        if (status === Serving.SERVING) return;
        // A program that is not ours does not tell the two apart.
        if (status !== Serving.SERVICE_UNKNOWN) continue;
        service = '';
        break;
      }
      throw new NsmError('unavailable', `${url} stopped answering health checks`);
    } catch (error) {
      if (life.over || NsmError.from(error).code !== 'unavailable') throw error;
      await sleep(RETRY_MS, undefined, { signal });
    }
}

const exitOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code ?? 'unknown'}`));
  });
