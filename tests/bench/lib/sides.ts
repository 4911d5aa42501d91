import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundledPrograms, parseTopology, startLab, type Lab, type Programs } from '@nsm/lab';
import { cpuMs, rssMiB } from './process.ts';
import { median } from './stats.ts';

/** The program that holds upstream's chains, and those that put load on both sides. */
const binary = process.env['NSM_INTEROP_PROGRAM'] ?? '';
const program = (file: string): readonly string[] => [
  process.execPath,
  '--conditions=source',
  join(import.meta.dirname, file),
];

/** One of ours whom no manager watches, upstream's without policies, and one of ours that does nothing. */
const registries = {
  unwatched: asInImages().registry ?? [],
  trusting: [binary, 'registry'],
  idle: program('registry-floor.ts'),
};

const topology = `
name: bench
registry: { env: { NSM_EXPIRE_PERIOD: 10m } }
nodes: { n1: {}, n2: {} }
services: { near: { payload: IP }, far: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.0.0/16] }
  nse-far: { node: n2, services: [far], prefixes: [172.17.0.0/16] }
clients:
  idle: { node: n1, services: [kernel://near/nsm-1], env: { NSM_LIVENESS_CHECK_ENABLED: 'false' } }
`;

/** What the load program measured of one kind of call: ms, and calls per second. */
interface Measured {
  readonly phase: string;
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  /** Calls that failed, or were not made since the one before had; why the last one failed. */
  readonly failed: number;
  readonly why: string;
}

/** One of the two meshes that are compared. */
export interface Side {
  /** Runs a task of the load program in a pod or node, with settings by their names without `NSM_`. */
  load(
    from: string,
    task: string,
    settings: Readonly<Record<string, string | number>>,
  ): Promise<Measured[]>;
  /** The first URL of a process: the manager's socket, the registry over TCP. */
  url(process: string): string;
  /** Starts another registry beside its own. */
  startRegistry(kind: keyof typeof registries, url: string): { cpu(): number };
  /** CPU that each process has used, in ms. */
  cpu(): ReadonlyMap<string, number>;
  /** Resident memory of each process, in MiB. */
  memory(): ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Our programs, and upstream's chains, both without a data path. */
export const startSides = async (): Promise<{ readonly ours: Side; readonly upstream: Side }> => {
  const chains = (['registry', 'nsmgr', 'forwarder', 'nse', 'nsc'] as const).map((each) => [
    each,
    [binary, each],
  ]);
  const upstream = await startSide(Object.fromEntries(chains) as Partial<Programs>);
  return {
    ours: await startSide({ forwarder: program('forwarder-without-datapath.ts') }),
    upstream,
  };
};

/** Columns of a table that compares what both sides measured, each over several turns. */
export const comparison = ['p50 ms', 'p99 ms', 'per s'].flatMap((of) => [
  of,
  "upstream's",
  'ratio',
]);

/** The cells of one kind of call: medians of the turns. */
export function compare(
  phase: string,
  ours: readonly (readonly Measured[])[],
  upstream: readonly (readonly Measured[])[],
): number[] {
  return (['p50', 'p99', 'perSecond'] as const).flatMap((key) => {
    const [a = NaN, b = NaN] = [ours, upstream].map((turns) =>
      median(turns.map((lines) => lines.find((line) => line.phase === phase)?.[key] ?? NaN)),
    );
    return [a, b, a / b];
  });
}

/** Labs give their many programs smaller heaps than images do. */
function asInImages(): Partial<Programs> {
  return Object.fromEntries(
    Object.entries(bundledPrograms()).map(([name, command]) => [
      name,
      command.filter((part) => !part.startsWith('--max-semi-space-size')),
    ]),
  );
}

async function startSide(programs: Partial<Programs>): Promise<Side> {
  const stateRoot = mkdtempSync(join(tmpdir(), 'nsm-'));
  const lab = await startLab(parseTopology(topology), {
    places: { stateRoot, netnsFolder: join(stateRoot, 'netns') },
    programs: { ...bundledPrograms(), ...asInImages(), ...programs },
    env: () => ({ NSM_DATA_PATH: 'false' }),
  });
  await lab.waitConnected('idle');
  const each = (read: (pid: number) => number): Map<string, number> =>
    new Map(lab.processes().map(({ name, pid }) => [name, read(pid)]));
  return {
    load: async (from, task, settings) => load(lab, from, task, settings),
    url: (name) =>
      lab.plan.processes.find((each) => each.name === name)?.env['NSM_LISTEN_ON']?.split(',')[0] ??
      '',
    startRegistry: (kind, url) => {
      const env = {
        ...identityOf(lab),
        NSM_LISTEN_ON: url,
        NSM_REGISTRY_POLICIES: 'false',
        NSM_EXPIRE_PERIOD: '10m',
      };
      const { pid = 0 } = lab.spawn('registry', registries[kind], { env, stdio: 'ignore' });
      return { cpu: () => cpuMs(pid) };
    },
    cpu: () => each(cpuMs),
    memory: () => each(rssMiB),
    stop: async () => {
      await lab.stop();
      rmSync(stateRoot, { recursive: true, force: true });
    },
  };
}

const identityOf = ({ plan }: Lab): Readonly<Record<string, string>> => ({
  SPIFFE_ENDPOINT_SOCKET: plan.identityUrl ?? '',
});

async function load(
  lab: Lab,
  from: string,
  task: string,
  settings: Readonly<Record<string, string | number>>,
): Promise<Measured[]> {
  const env = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`NSM_${name}`, `${value}`]),
  );
  const { code, stdout } = await lab.exec(from, [binary, task], {
    env: { ...identityOf(lab), ...env },
  });
  if (code !== 0) throw new Error(`${task} failed: ${stdout.slice(-2_000)}`);
  return stdout
    .split('\n')
    .filter((line) => line.includes('"measured"'))
    .map((line) => JSON.parse(line) as Measured);
}
