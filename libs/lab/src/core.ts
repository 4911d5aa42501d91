import type { ChildProcess } from 'node:child_process';
import { systemClock } from '@nsm/chain';
import { svidTokens, tokenHeaders, workloadSource } from '@nsm/identity';
import {
  createGrpcTransport,
  type Dialer,
  type IdentitySource,
  NsmError,
  type Peer,
} from '@nsm/rpc';
import { presentNamespaces, removeNamespaces } from './namespaces.ts';
import type { PlannedNamespace, PlannedProcess } from './planned.ts';
import { isAlive } from './proc.ts';
import { registerServices } from './registry.ts';
import { foreignRun, type Run, startRun, waitReady } from './run.ts';
import { bootId, type LabState, removeFolder, writeState } from './state.ts';
import { endHolder, stopRuns, sweepProcesses } from './stop.ts';

/** What the lab registers itself needs no longer. */
const TOKEN_LIFETIME_MS = 600_000;

/** Limits, in ms. */
export interface LabLimits {
  /** For a process to be ready. @default 60000 */
  readonly startMs?: number | undefined;
  /** For the processes of one program to end before they are killed. @default 10000 */
  readonly stopMs?: number | undefined;
}

/** What is known of a lab and written down as it changes. The one owner of a lab's state in this process. */
export interface Core {
  readonly dialer: Dialer;
  /** Of whoever looks after the lab; undefined where it is without identities. */
  readonly identity: IdentitySource | undefined;
  /** Commands that end with the lab. */
  readonly commands: Set<ChildProcess>;
  readonly limits: Required<{ [K in keyof LabLimits]: number }>;
  state(): LabState;
  update(change: Partial<LabState>): void;
  runs(): Run[];
  run(name: string): Run | undefined;
  /** Starts a process of the plan and waits until it is ready. @throws NsmError */
  start(process: PlannedProcess, signal: AbortSignal | undefined): Promise<void>;
  /** Ends everything. Safe to call again, at any time. Answers the names of processes that had to be killed. */
  stop(): Promise<string[]>;
  /** Cuts its connections to the lab. */
  letGo(): void;
}

export function createCore(initial: LabState, limits: LabLimits): Core {
  let state = initial;
  let stopping: Promise<string[]> | undefined;
  const { identityUrl } = initial.plan;
  const open = createGrpcTransport();
  const identity =
    identityUrl === undefined
      ? undefined
      : workloadSource({
          dialer: open,
          url: identityUrl,
          clock: systemClock,
          random: Math.random,
        });
  const dialer = identity ? createGrpcTransport(identity) : open;
  const tokens = identity && svidTokens(identity, TOKEN_LIFETIME_MS, systemClock);
  const headers =
    tokens && (async (server: Peer | undefined) => tokenHeaders(await tokens.issue(server)));
  const letGo = (): void => {
    identity?.close();
    dialer.close();
    open.close();
  };
  const commands = new Set<ChildProcess>();
  const runs = new Map<string, Run>();
  // After a restart of the machine, pids and namespaces of before are somebody else's.
  if (state.bootId === bootId())
    for (const process of state.plan.processes) {
      const id = state.runs[process.name];
      if (id !== undefined) runs.set(process.name, foreignRun(process, id));
    }
  const waits = { startMs: limits.startMs ?? 60_000, stopMs: limits.stopMs ?? 10_000 };
  const update: Core['update'] = (change) => {
    state = { ...state, ...change };
    writeState(state);
  };

  return {
    dialer,
    identity,
    letGo,
    commands,
    limits: waits,
    state: () => state,
    update,
    runs: () => [...runs.values()],
    run: (name) => runs.get(name),
    start: async (process, signal) => {
      const { plan, programs } = state;
      const { path } = namespaceOf(plan.namespaces, process.namespace);
      const run = await startRun(process, programs[process.program], path);
      runs.set(process.name, run);
      update({ runs: { ...state.runs, [process.name]: { ...run.id, logOffset: run.logOffset } } });
      const limit = AbortSignal.timeout(waits.startMs);
      // Nobody has an identity before it runs.
      const asking = process.program === 'identity' ? open : dialer;
      await waitReady(run, asking, signal === undefined ? limit : AbortSignal.any([signal, limit]));
      // A registry without a durable store has forgotten them.
      if (process.program === 'registry')
        await registerServices(dialer, plan.registryUrl, plan.registrations, headers);
    },
    stop: () =>
      (stopping ??= takeDown(state, [...runs.values()], { commands, stopMs: waits.stopMs })
        .catch((error: unknown) => {
          stopping = undefined;
          throw error;
        })
        .finally(letGo)),
  };
}

/** A namespace by its name. @throws NsmError not-found, which names those there are */
export function namespaceOf(
  namespaces: readonly PlannedNamespace[],
  name: string,
): PlannedNamespace {
  const found = namespaces.find((namespace) => namespace.name === name);
  if (found !== undefined) return found;
  throw unknown(
    'pod or node',
    name,
    namespaces.map((namespace) => namespace.name),
  );
}

/** A name that is nobody's. */
export const unknown = (kind: string, name: string, known: readonly string[]): NsmError =>
  new NsmError('not-found', `the lab has no ${kind} "${name}"`, {
    hint: `it has ${known.join(', ')}`,
  });

/** Goes on after a failure, so that as little as possible is left; then what is left can be tried again. */
async function takeDown(
  { plan, holder, netns }: LabState,
  runs: readonly Run[],
  { commands, stopMs }: { commands: ReadonlySet<ChildProcess>; stopMs: number },
): Promise<string[]> {
  for (const command of commands) command.kill('SIGTERM');
  if (holder !== undefined && holder.pid !== process.pid && isAlive(holder))
    await endHolder(holder, 10 * stopMs);
  const failures: unknown[] = [];
  const attempt = async (step: () => unknown): Promise<void> => {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  };
  let killed: string[] = [];
  await attempt(async () => (killed = await stopRuns(runs, stopMs)));
  await attempt(() => sweepProcesses(presentNamespaces(plan.namespaces, netns)));
  await attempt(() => removeNamespaces(plan.namespaces));
  if (failures.length > 0)
    throw new AggregateError(
      failures,
      `not all of the lab could be removed: ${failures.join('; ')}`,
    );
  removeFolder(plan.folder);
  return killed;
}
