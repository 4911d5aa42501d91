import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { ping, type PingOptions, type PingResult } from '@nsm/netlink';
import { type Connection, MonitorConnectionDefinition, MonitorScopeSelector } from '@nsm/proto';
import { type Dialer, type IdentitySource, NsmError } from '@nsm/rpc';
import { type Census, takeCensus } from './census.ts';
import { type Core, createCore, type LabLimits, namespaceOf, unknown } from './core.ts';
import { type ExecOptions, type ExecResult, finished, spawnIn } from './execute.ts';
import { type Interface, interfacesOf } from './interfaces.ts';
import { type Connected, connectedIn, waitConnected } from './connected.ts';
import type { Plan } from './planned.ts';
import { isAlive, signalProcess } from './proc.ts';
import { readState } from './state.ts';
import { endRun } from './stop.ts';
import { type Wire, wiresFrom } from './wires.ts';

/** A wire with its set-up time in ms, where its client has logged it. */
export type LabWire = Wire & { readonly setupMs?: number };

/** A process of a lab as it is now. */
export interface LabProcess {
  readonly name: string;
  readonly program: string;
  readonly namespace: string;
  readonly pid: number;
  readonly alive: boolean;
  readonly log: string;
}

/** A running lab. Pods, nodes and processes go by their names; unknown ones are refused with the names there are. */
export interface Lab {
  readonly name: string;
  readonly plan: Plan;
  /** Speaks to its processes, with the identity below. */
  readonly dialer: Dialer;
  /** Of whoever looks after the lab; undefined where it is without identities. */
  readonly identity: IdentitySource | undefined;
  processes(): LabProcess[];
  /** Whether another process that runs is to take it down. */
  held(): boolean;
  /** Path of a namespace. */
  netns(name: string): string;
  /** Runs a command in a pod (or node) to its end. */
  exec(pod: string, argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts a command in a pod (or node); it ends with the lab at the latest. */
  spawn(pod: string, argv: readonly string[], options?: SpawnOptions): ChildProcess;
  ping(
    pod: string,
    address: string,
    options?: Omit<PingOptions, 'netns' | 'dst'>,
  ): Promise<PingResult>;
  /** The links of a pod (or node), without loopback. */
  addresses(pod: string): Interface[];
  /** Sends a signal; after one that ends a process, resolves when it has ended. */
  kill(process: string, signal: NodeJS.Signals): Promise<void>;
  /** Starts a process again, ending it in order first if it runs, and waits until it is ready. */
  restart(process: string): Promise<void>;
  /** What the manager of a node knows now. @throws NsmError unavailable, deadline */
  connections(node: string): Promise<Connection[]>;
  /** What the managers that answer know, as wires. */
  wires(): Promise<LabWire[]>;
  /**
   * Waits until a client has logged `count` different wires as connected since it was started.
   * @param count default: all it asks for
   * @throws NsmError deadline, unavailable with what its log says
   */
  waitConnected(client: string, count?: number, options?: WaitOptions): Promise<Connected[]>;
  census(): Promise<Census>;
  /** Ends everything and leaves nothing behind. Answers the names of processes that had to be killed. */
  stop(): Promise<string[]>;
  /** Lets go of a lab that goes on running. */
  detach(): void;
}

export interface WaitOptions {
  /** @default 30000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const MONITOR_LIMIT_MS = 5_000;
const FATAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT']);

/** A lab that another process has started. @throws NsmError not-found */
export function openLab(stateRoot: string, name: string, limits: LabLimits = {}): Lab {
  return labOf(createCore(readState(stateRoot, name), limits));
}

/** The face of a lab. */
export function labOf(core: Core): Lab {
  const { plan } = core.state();
  const netns = (name: string): string => namespaceOf(plan.namespaces, name).path;
  const spawn: Lab['spawn'] = (pod, argv, options) => {
    const child = spawnIn(netns(pod), argv, options);
    core.commands.add(child);
    child.once('close', () => core.commands.delete(child));
    return child;
  };
  const plannedOf = (name: string) => {
    const found = plan.processes.find((process) => process.name === name);
    if (found !== undefined) return found;
    throw unknown(
      'process',
      name,
      plan.processes.map((process) => process.name),
    );
  };
  const runOf = (name: string) => {
    const run = core.run(plannedOf(name).name);
    if (run !== undefined) return run;
    throw new NsmError('unavailable', `the process "${name}" was not started`);
  };
  const connections = (node: string): Promise<Connection[]> => {
    const url = plan.managerUrls[node];
    if (url === undefined) throw unknown('node', node, Object.keys(plan.managerUrls));
    return connectionsAt(core.dialer, url);
  };

  return {
    name: plan.name,
    plan,
    dialer: core.dialer,
    identity: core.identity,
    netns,
    spawn,
    processes: () => processesOf(core),
    held: () => {
      const { holder } = core.state();
      return holder !== undefined && holder.pid !== process.pid && isAlive(holder);
    },
    exec: async (pod, argv, { input = '', env, signal } = {}) =>
      finished(
        spawn(pod, argv, {
          stdio: 'pipe',
          ...(env && { env: { ...process.env, ...env } }),
          ...(signal && { signal }),
        }),
        input,
      ),
    ping: async (pod, dst, options) => ping({ ...options, netns: netns(pod), dst }),
    addresses: (pod) => interfacesOf(netns(pod)).filter(({ name }) => name !== 'lo'),
    kill: async (name, signal) => {
      const run = runOf(name);
      if (!FATAL.has(signal)) return void signalProcess(run.id, signal);
      if (!(await endRun(run, signal, core.limits.stopMs)))
        throw new NsmError('deadline', `${name} did not end within ${core.limits.stopMs} ms`);
    },
    restart: async (name) => {
      const running = core.run(plannedOf(name).name);
      if (running && !(await endRun(running, 'SIGTERM', core.limits.stopMs)))
        await endRun(running, 'SIGKILL', core.limits.stopMs);
      await core.start(plannedOf(name), undefined);
    },
    connections: async (node) => connections(node),
    wires: async () => wiresOf(core, connections),
    waitConnected: (client, count, options = {}) =>
      waitConnected(runOf(client), count ?? plan.wires[client] ?? 0, options),
    census: () => takeCensus(core.state(), core.runs(), core.dialer),
    stop: () => core.stop(),
    detach: () => core.letGo(),
  };
}

/** All connections a server of the monitor service knows at this moment. @throws NsmError unavailable, deadline */
export async function connectionsAt(dialer: Dialer, url: string): Promise<Connection[]> {
  const monitor = dialer.client(MonitorConnectionDefinition, url);
  const options = { deadline: Date.now() + MONITOR_LIMIT_MS };
  // The first event is the table as it is, even when it is empty (contract 3.5).
  for await (const { connections } of monitor.monitorConnections(
    MonitorScopeSelector.create(),
    options,
  ))
    return Object.values(connections);
  throw new NsmError('unavailable', `${url} ended the monitor stream before its first event`);
}

async function wiresOf(
  core: Core,
  connections: (node: string) => Promise<Connection[]>,
): Promise<LabWire[]> {
  const { managerUrls } = core.state().plan;
  const known = await Promise.all(
    Object.keys(managerUrls).map(async (node) => {
      // A manager that is down knows no wires; they may be fine all the same.
      const list = await connections(node).catch(() => []);
      return [node, list] as const;
    }),
  );
  const times = new Map(
    core
      .runs()
      .flatMap((run) => connectedIn(run))
      .map(({ connection, ms }) => [connection, ms]),
  );
  return wiresFrom(Object.fromEntries(known)).map((wire) => {
    const setupMs = times.get(wire.connection);
    return setupMs === undefined ? wire : { ...wire, setupMs };
  });
}

const processesOf = (core: Core): LabProcess[] =>
  core.runs().map((run) => {
    const { name, program, namespace, log } = run.process;
    return { name, program, namespace, pid: run.id.pid, alive: run.alive(), log };
  });
