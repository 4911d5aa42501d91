// Whether anything fails while identities change all the time, and while the identity server is away: failed Requests, of new wires
// and of refreshes, and what the mesh itself warns of. Run it with: npm run bench -- rotation [SECONDS]
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { svidTokens, tokenHeaders } from '@nsm/identity';
import { systemClock } from '@nsm/chain';
import { parseTopology, startLab, type Lab } from '@nsm/lab';
import { NetworkServiceDefinition, NetworkServiceRequest, type Connection } from '@nsm/proto';
import { showNetns } from '../worlds/show-netns.ts';
import { table } from './lib/stats.ts';

const seconds = Number(process.argv[2] ?? 120);
const CLIENTS = 4;
/** A new identity comes at half of this. */
const TTL_S = 10;
const AWAY_TTL_S = 20;
/** The server is started again when the first identity has this long: it takes some seconds to start beside the load. */
const BACK_S = 5;

const topology = (name: string): string => `
name: ${name}
nodes: { n1: {}, n2: {} }
services: { far: { payload: IP } }
endpoints:
  far: { node: n2, services: [far], prefixes: [172.16.0.0/20] }
clients:
  a: { node: n1, services: [kernel://far/nsm-1] }
`;

interface Count {
  asked: number;
  readonly failures: string[];
  /** What processes of the mesh have logged as warnings and errors. */
  readonly warnings: string[];
}

/** Asks for wires, refreshes each of them some times and closes it, until it is told to stop. */
async function load(lab: Lab, k: number, count: Count, goOn: () => boolean): Promise<void> {
  const tokens = svidTokens(lab.identity!, 600_000, systemClock);
  const headers = async (server: Parameters<typeof tokens.issue>[0]) =>
    tokenHeaders(await tokens.issue(server));
  const { dev, ino } = statSync(lab.netns('a'), { bigint: true });
  const manager = lab.dialer.client(NetworkServiceDefinition, lab.plan.managerUrls['n1'] ?? '');
  const ask = async (id: string, was: Connection | undefined): Promise<Connection | undefined> => {
    count.asked += 1;
    const request = NetworkServiceRequest.fromPartial({
      connection: was ?? {
        id,
        networkService: 'far',
        path: { index: 0, pathSegments: [{ name: 'load', id }] },
      },
      mechanismPreferences: [
        {
          cls: 'LOCAL',
          type: 'KERNEL',
          parameters: { name: `l${k}`, inodeURL: `inode://${dev}/${ino}` },
        },
      ],
    });
    const onConnection = showNetns(request.connection, request.mechanismPreferences);
    return manager
      .request(request, { headers, onConnection, deadline: Date.now() + 30_000 })
      .catch((err: unknown) => {
        count.failures.push(String(err));
        return was;
      });
  };
  for (let n = 0; goOn(); n += 1) {
    let wire = await ask(`load-${k}-${n}`, undefined);
    for (let i = 0; i < 10 && goOn(); i += 1) wire = await ask(`load-${k}-${n}`, wire);
    if (wire)
      await manager.close(wire, {
        headers,
        onConnection: showNetns(wire),
        deadline: Date.now() + 30_000,
      });
  }
}

async function measured(ttlS: number, run: (lab: Lab) => Promise<void>): Promise<Count> {
  const stateRoot = mkdtempSync(join(tmpdir(), 'nsm-rotation-'));
  const lab = await startLab(parseTopology(topology('rot')), {
    places: { stateRoot, netnsFolder: join(stateRoot, 'netns') },
    env: ({ program }) => (program === 'identity' ? { NSM_SVID_TTL: `${ttlS}s` } : {}),
  });
  const count: Count = { asked: 0, failures: [], warnings: [] };
  try {
    await lab.waitConnected('a');
    const began = Date.now();
    let going = true;
    const loads = Array.from({ length: CLIENTS }, (_, k) => load(lab, k, count, () => going));
    await run(lab);
    going = false;
    await Promise.all(loads);
    for (const { name, log } of lab.processes())
      for (const { time, level, msg, fault } of linesOf(log))
        if (Date.parse(time) >= began && level !== 'info' && fault === undefined)
          count.warnings.push(`${name}: ${msg}`);
    return count;
  } finally {
    await lab.stop();
    rmSync(stateRoot, { recursive: true, force: true });
  }
}

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly until?: string;
  /** That there is no new identity, as is meant. */
  readonly fault?: string;
}

const linesOf = (log: string): LogLine[] =>
  readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);

/** When the first identity of a process ends, in ms since 1970. */
const firstEnd = (lab: Lab): number =>
  Math.min(
    ...lab.processes().flatMap(({ log }) => {
      const ends = linesOf(log).flatMap(({ until }) => until ?? []);
      return ends.slice(-1).map((end) => Date.parse(end));
    }),
  );

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

process.stderr.write(`… rotation every ${TTL_S / 2} s for ${seconds} s\n`);
const rotated = await measured(TTL_S, () => sleep(seconds * 1_000));
process.stderr.write('… the identity server is away until just before identities end\n');
let left = Number.NaN;
const away = await measured(AWAY_TTL_S, async (lab) => {
  await sleep(1_000);
  await lab.kill('identity', 'SIGKILL');
  const end = firstEnd(lab);
  await sleep(end - BACK_S * 1_000 - Date.now());
  await lab.restart('identity');
  left = (end - Date.now()) / 1_000;
  await sleep(AWAY_TTL_S * 1_000);
});
const row = (what: string, { asked, failures, warnings }: Count): string[] => [
  what,
  String(asked),
  String(failures.length),
  String(warnings.length),
];
process.stdout.write(
  table(
    `Requests under load (${CLIENTS} at a time, new wires and refreshes between two nodes)`,
    ['', 'asked', 'failed', 'warnings of the mesh'],
    [
      row(`a new identity for everybody every ${TTL_S / 2} s, ${seconds} s long`, rotated),
      row(
        `the identity server killed, and ready again ${left.toFixed(1)} s before the first identity of ${AWAY_TTL_S} s ends`,
        away,
      ),
    ],
  ),
);
const faults = [rotated, away].flatMap(({ failures, warnings }) => [...failures, ...warnings]);
for (const fault of faults.slice(0, 20)) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
