// What slow and greedy peers of a manager cost an honest client: its Requests with and without them, in turn, and the memory of the
// manager. Run it with: npm run bench -- greedy [KIND]
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startNetns } from '../worlds/netns.ts';
import { rssMiB } from './lib/process.ts';
import { make, unmake } from './lib/requests.ts';
import { percentile, table } from './lib/stats.ts';

const ROUNDS = 3;
/** Of each round, with and without them. */
const ROUND_MS = 7_000;
/** Before Requests count: the peers have all come. */
const SETTLE_MS = 3_000;
const WARM_UP = 300;
/** The limits that are reached within the rounds; that of unread streams is 30 s by default. */
const LIMITS = "env: { NSM_UNREAD_LIMIT: '5s', NSM_HALF_OPEN_LIMIT: '5s' }";

const world = await startNetns(`
name: grdy
nodes: { n1: { ${LIMITS} }, n2: {} }
services: { near: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.0.0/20] }
clients:
  a: { node: n1, services: [kernel://near/nsm-1] }
`);
const { lab } = world;
const kinds = {
  'half-open': '400 TLS handshakes that stop after one byte',
  slow: '200 messages of one byte every 10 s',
  watchers: '200 watchers of everything that read nothing',
  resets: 'Requests taken back at once, 2,000 a second on each of 5 connections',
  all: 'all of these',
} as const;

const processOf = (name: string) => lab.processes().find((each) => each.name === name);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts them on the other node, against the manager of one, with the identity of whoever looks after the lab: they see everything. */
async function greedy(kind: string, node: string): Promise<ChildProcess> {
  const manager = lab.plan.processes.find(({ name }) => name === `nsmgr-${node}`);
  const urls = manager?.env['NSM_LISTEN_ON'];
  const [, host = '', port = ''] = /tcp:\/\/([\d.]+):(\d+)/.exec(urls ?? '') ?? [];
  const program = join(import.meta.dirname, 'lib/greedy-peers.ts');
  const child = lab.spawn(
    'n2',
    [process.execPath, '--conditions=source', program, kind, host, port],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, SPIFFE_ENDPOINT_SOCKET: lab.plan.identityUrl },
    },
  );
  await once(child.stdout!, 'data');
  return child;
}

let next = 0;
/** One wire after the other for a time; how long each Request took, in ms, and the most memory the manager had, in MiB. */
async function honest(ms: number): Promise<{ times: number[]; mib: number }> {
  const times: number[] = [];
  let mib = 0;
  const pid = processOf('nsmgr-n1')?.pid ?? 0;
  for (const until = performance.now() + ms; performance.now() < until;) {
    const made = await make(world, 'n1', 'a', 'near', next++);
    times.push(made.ms);
    await unmake(world, 'n1', [made]);
    if (times.length % 20 === 0) mib = Math.max(mib, rssMiB(pid));
  }
  return { times, mib };
}

/** Requests beside peers that ask the manager of a node. */
async function beside(kind: string, node: string): ReturnType<typeof honest> {
  const peers = await greedy(kind, node);
  await sleep(SETTLE_MS);
  const measured = await honest(ROUND_MS);
  peers.kill('SIGKILL');
  await once(peers, 'close');
  return measured;
}

try {
  await world.connected('a');
  for (let n = 0; n < WARM_UP; n += 1)
    await unmake(world, 'n1', [await make(world, 'n1', 'a', 'near', next++)]);
  const rows: (string | number)[][] = [];
  for (const [kind, what] of Object.entries(kinds)) {
    if ((process.argv[2] ?? kind) !== kind) continue;
    process.stderr.write(`… ${what}\n`);
    const ways = [
      () => honest(ROUND_MS),
      // What they cost as neighbours on the same machine, whatever the manager does.
      () => beside(kind, 'n2'),
      () => beside(kind, 'n1'),
    ].map((measure) => ({ measure, times: [] as number[], mib: 0 }));
    for (let round = 0; round < ROUNDS; round += 1)
      for (const way of ways) {
        const { times, mib } = await way.measure();
        way.times.push(...times);
        way.mib = Math.max(way.mib, mib);
      }
    const [p50s, p99s] = [0.5, 0.99].map((p) => ways.map(({ times }) => percentile(times, p)));
    const [p99 = 0, , p99Beside = 0] = p99s ?? [];
    const mibs = [ways[0]?.mib ?? 0, ways[2]?.mib ?? 0];
    rows.push([what, ...(p50s ?? []), ...(p99s ?? []), p99Beside / p99, ...mibs]);
  }
  const three = ['alone', 'elsewhere', 'beside'];
  process.stdout.write(
    table(
      'A local wire from Request to usable interface, in ms: without peers, beside peers that ask the manager of the other node, and beside peers that ask the same manager; memory of the manager at most, in MiB',
      [
        'peers',
        ...three.map((each) => `p50 ${each}`),
        ...three.map((each) => `p99 ${each}`),
        'p99 beside / alone',
        'RSS alone',
        'RSS beside',
      ],
      rows,
    ),
  );
} finally {
  await world.stop();
}
