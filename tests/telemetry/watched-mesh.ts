import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { linkSet, withRtnetlink } from '@nsm/netlink';

/** ifindex of the loopback interface in every namespace. */
const LOOPBACK = 1;

const root = join(import.meta.dirname, '../..');

interface LogLine {
  readonly msg?: string;
  readonly url?: string;
}

/** A program of the mesh as it is shipped, and what it has logged. */
export interface Running {
  readonly pid: number;
  /** Waits for a line with this message since its start. */
  said(message: string): Promise<LogLine>;
  /** What Prometheus would be told. */
  metrics(): Promise<string>;
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** All programs of a mesh of one node with their telemetry, in the namespace of the tests: they meet at sockets and on loopback. */
export interface WatchedMesh {
  start(program: string): Promise<Running>;
  /** The exit code of the program that asks the running one. */
  probe(program: string, what: string): Promise<number | null>;
  stop(): Promise<void>;
}

/** In the order they need each other. */
export const PROGRAMS = ['identity', 'registry', 'nsmgr', 'forwarder', 'nse', 'nsc'] as const;

/** A namespace that was just made has it down. */
export const bringUpLoopback = (): void =>
  withRtnetlink(undefined, (rtnetlink) => {
    rtnetlink.request([linkSet(LOOPBACK, { up: true })]);
  });

/** `common`: environment of all programs. */
export function createWatchedMesh(common: Readonly<Record<string, string>>): WatchedMesh {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const socket = (name: string): string => `unix://${folder}/${name}.sock`;
  const identity = (name: string): string => `unix://${folder}/identity/${name}.sock`;
  const manager = { NSM_CONNECT_TO: socket('nsmgr') };
  const own: Readonly<Record<string, Record<string, string>>> = {
    identity: {
      NSM_TRUST_DOMAIN: 'watched.test',
      NSM_ENTRIES: PROGRAMS.slice(1)
        .map((name) => `${identity(name)}=spiffe://watched.test/${name}`)
        .join(),
    },
    registry: {},
    nsmgr: {
      NSM_LISTEN_ON: `${socket('nsmgr')},tcp://127.0.0.1:0`,
      NSM_REGISTRY_URL: socket('registry'),
    },
    forwarder: manager,
    nse: { ...manager, NSM_SERVICE_NAMES: 'web', NSM_CIDR_PREFIX: '10.7.0.0/24' },
    nsc: {
      ...manager,
      NSM_NETWORK_SERVICES: 'kernel://web/watched-1',
      NSM_LIVENESS_CHECK_ENABLED: 'false',
    },
  };
  const running = new Map<string, Running>();
  const spawned = (program: string, ...args: readonly string[]): ChildProcess =>
    spawn(join(root, 'dist/bin', program), args, {
      env: {
        PATH: process.env['PATH'] ?? '',
        NSM_NAME: program,
        NSM_LISTEN_ON: socket(program),
        NSM_PROMETHEUS_LISTEN_ON: '127.0.0.1:0',
        SPIFFE_ENDPOINT_SOCKET: identity(program),
        ...common,
        ...own[program],
      },
      stdio: ['ignore', 'pipe', args.length === 0 ? 'inherit' : 'ignore'],
    });
  return {
    probe: async (program, what) => {
      const [code] = (await once(spawned(program, '--probe', what), 'exit')) as [number | null];
      return code;
    },
    start: async (program) => {
      const child = spawned(program);
      const started = watch(program, child);
      running.set(program, started);
      await started.said('ready');
      return started;
    },
    stop: async () => {
      for (const program of [...running.values()].toReversed()) await program.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function watch(program: string, child: ChildProcess): Running {
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  const exited = once(child, 'exit');
  let ended = false;
  createInterface(child.stdout!)
    .on('line', (line) => {
      if (line.startsWith('{')) lines.push(JSON.parse(line) as LogLine);
      for (const wake of waiting) wake();
    })
    .on('close', () => {
      ended = true;
      for (const wake of waiting) wake();
    });
  const said = async (message: string): Promise<LogLine> => {
    for (;;) {
      const found = lines.find(({ msg }) => msg === message);
      if (found) return found;
      if (ended) throw new Error(`${program} ended: ${JSON.stringify(lines.slice(-5))}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
      });
    }
  };
  return {
    pid: child.pid ?? 0,
    said,
    metrics: async () => {
      const { url = '' } = await said('metrics');
      return (await fetch(url)).text();
    },
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await exited;
    },
  };
}
