// Kills random processes of a mesh, singly and in pairs, and wants all wires back each time and nothing left over at the end.
// Usage: npm run storm -- [WIRES [KILLS [SEED]]]
import { startNetns } from '../worlds/netns.ts';
import { eventually } from '../worlds/world.ts';
import { allUp, endpointOf, residueLeft, type Mesh } from './heal/mesh.ts';
import { percentile, table } from './lib/stats.ts';

const [wires = 200, kills = 1_000, seed = 1] = process.argv.slice(2).map(Number);
/** Wires of one client: to its own node, and to the other one. */
const EACH = 4;
const RECOVERY_MS = 60_000;
/** For all wires to be there at first: hundreds of programs start, two for each wire by WireGuard among them. */
const START_MS = 600_000;
/** The far end of a wire that nobody near its client knows any more goes with its tokens. */
const LEASE_MS = 60_000;

/** Clients of n2 come by WireGuard where the machine has it, those of n1 by VXLAN. */
const topology = (): string => {
  const clients = Array.from({ length: Math.ceil(wires / EACH) }, (_, i) => {
    const node = (i % 2) + 1;
    const asked = ['s1', 's2', 's1', 's2'].map((service, k) => `kernel://${service}/nsm-${k}`);
    return `  c${i}: { node: n${node}, services: [${asked.join(', ')}] }`;
  });
  return `
name: strm
nodes:
  n1: {}
  n2: { env: { NSM_MECHANISM_PRIORITY: 'WIREGUARD,VXLAN' } }
services: { s1: { payload: IP }, s2: { payload: IP } }
endpoints:
  e1: { node: n1, services: [s1], prefixes: [172.20.0.0/20] }
  e2: { node: n2, services: [s2], prefixes: [172.21.0.0/20] }
clients:
${clients.join('\n')}
`;
};

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function seeded(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Waits until every wire is up and its endpoint answers. */
async function recovered(mesh: Mesh, limitMs: number): Promise<void> {
  const all = await allUp(mesh, limitMs);
  await Promise.all(
    all.map((wire) =>
      eventually(
        () => mesh.lab.ping(wire.client, endpointOf(wire), { count: 1 }),
        ({ received }) => received > 0,
        limitMs,
      ),
    ),
  );
}

const random = seeded(seed);
const mesh = await startNetns(topology(), { tokenLifetime: `${LEASE_MS / 1_000}s` });
try {
  await recovered(mesh, START_MS);
  const names = mesh.lab.plan.processes.map(({ name }) => name);
  const kinds = new Map<string, number>();
  for (const { mechanism } of await mesh.lab.wires()) {
    const [kind = ''] = mechanism.split(' ');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const times: number[] = [];
  const failed: string[] = [];
  for (let n = 1; n <= kills; n += 1) {
    const victims = new Set(
      Array.from(
        { length: random() < 0.5 ? 1 : 2 },
        () => names[Math.floor(random() * names.length)] ?? '',
      ),
    );
    for (const victim of victims) await mesh.kill(victim);
    const started = performance.now();
    try {
      await Promise.all([...victims].map((victim) => mesh.start(victim)));
      await recovered(mesh, RECOVERY_MS);
      times.push(performance.now() - started);
    } catch (error) {
      failed.push(`kill ${n} of ${[...victims].join(', ')}: ${String(error).split('\n')[0] ?? ''}`);
    }
    if (n % 10 === 0) process.stderr.write(`… ${n} of ${kills}\n`);
  }
  const left = await residueLeft(mesh, LEASE_MS + 30_000);
  console.log(
    table(
      `${kills} kills, seed ${seed}, of ${names.length} processes with wires by ${[...kinds].map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
      ['', ''],
      [
        ['recovered', `${times.length} of ${kills}`],
        ['start of the killed to all wires answering, p50 in ms', percentile(times, 0.5)],
        ['the same, p99', percentile(times, 0.99)],
        ['left over at the end', String(left)],
      ],
    ),
  );
  for (const line of failed) console.log(line);
  process.exitCode = failed.length + left === 0 ? 0 : 1;
} finally {
  await mesh.stop();
}
