import { cycle } from '../worlds/cycles.ts';
import { footprint, unchanged } from '../worlds/footprint.ts';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { rssMiB } from './lib/process.ts';
import { table } from './lib/stats.ts';

/** Makes and closes wires, half of them with callers that give up, and prints what differs afterwards: nothing, it is to be hoped. */

const CYCLES = 10_000;
/** Calls that were answered as their caller gave up are closed when their token ends. */
const TOKEN_LIFETIME = '10s';

const count = Number(process.argv[2] ?? CYCLES);
const world = await startNetns(
  twoNodes('resi', '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }'),
  // Connections that nobody uses would be closed while it runs: less afterwards than before.
  { tokenLifetime: TOKEN_LIFETIME, env: { NSM_IDLE_LIMIT: '2h' } },
);
try {
  await world.connected('a');
  await cycle(world, 'a', 20, Math.random);
  const before = await unchanged(() => footprint(world.lab), 12_000);
  const memory = () => world.lab.processes().map(({ pid }) => rssMiB(pid));
  const small = memory();
  const started = performance.now();
  const { connected, cancelled } = await cycle(world, 'a', count, Math.random);
  const ms = performance.now() - started;
  console.log(
    `${count} cycles in ${(ms / 1_000).toFixed(1)} s: ${connected} connected and closed, ${cancelled} given up`,
  );
  const large = memory();
  const after = await unchanged(() => footprint(world.lab), 12_000);
  const rest = memory();
  const rows = world.lab
    .processes()
    .map(({ name }, i) => [name, ...[small, large, rest].map((of) => of[i] ?? 0)]);
  console.log(table('Resident MiB', ['process', 'before', 'at the end', 'at rest'], rows));
  const [gone, left] = [without(before, after), without(after, before)];
  for (const line of gone) console.log(`- ${line}`);
  for (const line of left) console.log(`+ ${line}`);
  console.log(
    gone.length + left.length === 0
      ? `${after.length} lines of links, addresses, routes, neighbours and descriptors, the same before and after`
      : 'something differs',
  );
  process.exitCode = gone.length + left.length === 0 ? 0 : 1;
} finally {
  await world.stop();
}

/** What `lines` has more of than `others`. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const rest = [...others];
  return lines.filter((line) => {
    const at = rest.indexOf(line);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}
