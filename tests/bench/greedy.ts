// What slow and greedy peers of a manager cost an honest client: its Requests with and without them, in turn, and the memory of the
// manager. Run it with: npm run bench -- greedy
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startNetns } from '../worlds/netns.ts';
import { rssMiB } from './lib/process.ts';
import { make, unmake } from './lib/requests.ts';
import { percentile, table } from './lib/stats.ts';

const ROUNDS = 3;
/** Of each round, with and without them. */
const ROUND_MS = 8_000;
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
  resets: '10,000 Requests a second that are taken back at once',
  all: 'all of these',
} as const;

const processOf = (name: string) => lab.processes().find((each) => each.name === name);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts them on the other node, with the identity of whoever looks after the lab: they see everything. */
async function greedy(kind: string): Promise<ChildProcess> {
  const urls = lab.plan.processes.find(({ name }) => name === 'nsmgr-n1')?.env['NSM_LISTEN_ON'];
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

try {
  await world.connected('a');
  for (let n = 0; n < WARM_UP; n += 1)
    await unmake(world, 'n1', [await make(world, 'n1', 'a', 'near', next++)]);
  const rows: (string | number)[][] = [];
  for (const [kind, what] of Object.entries(kinds)) {
    process.stderr.write(`… ${what}\n`);
    const [alone, beside]: [number[], number[]] = [[], []];
    let [least, most] = [0, 0];
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await honest(ROUND_MS);
      const peers = await greedy(kind);
      await sleep(SETTLE_MS);
      const during = await honest(ROUND_MS);
      peers.kill('SIGKILL');
      await once(peers, 'close');
      alone.push(...before.times);
      beside.push(...during.times);
      [least, most] = [Math.max(least, before.mib), Math.max(most, during.mib)];
    }
    const [p50, p99] = [0.5, 0.99].map((p) => [percentile(alone, p), percentile(beside, p)]) as [
      [number, number],
      [number, number],
    ];
    rows.push([what, ...p50, ...p99, p99[1] / p99[0], least, most, String(beside.length)]);
  }
  process.stdout.write(
    table(
      'A local wire from Request to usable interface, in ms, alone and beside peers that ask the same manager, in turn; memory of the manager at most, in MiB',
      ['peers', 'p50', 'beside', 'p99', 'beside', 'ratio', 'RSS', 'beside', 'Requests beside'],
      rows,
    ),
  );
} finally {
  await world.stop();
}
