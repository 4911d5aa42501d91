// Holds wires while others come and go, and prints how memory and descriptors of every process of the mesh grow: not at all, it is to be hoped.
// Usage: npm run soak -- [MINUTES [WIRES]]
import { readdirSync } from 'node:fs';
import { cycle } from '../worlds/cycles.ts';
import { startNetns } from '../worlds/netns.ts';
import { residueLeft } from './heal/mesh.ts';
import { rssMiB } from './lib/process.ts';
import { make, refresh, unmake, type Made } from './lib/requests.ts';
import { slope, table } from './lib/stats.ts';
import { twoNodes } from '../worlds/topologies.ts';

const [minutes = 20, wires = 100] = process.argv.slice(2).map(Number);
const SAMPLE_MS = 5_000;
/** With each sample one of so many is refreshed. */
const REFRESHED = 3;
/** Of the time, in which what is opened once for all is opened. */
const WARM_UP = 0.25;

interface Sample {
  readonly hours: number;
  readonly rss: number;
  readonly descriptors: number;
}

const mesh = await startNetns(
  twoNodes('soak', '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }'),
  // What was answered as its caller gave up is closed when the token of that caller ends.
  { tokenLifetime: '30s', callerTokenMs: 30_000 },
);
try {
  await mesh.connected('a');
  const samples = new Map<string, Sample[]>();
  const started = performance.now();
  const end = started + minutes * 60_000;
  let cycles = 0;
  let samplesTaken = 0;
  const held: Made[] = [];
  for (let i = 0; i < wires; i += 1)
    held.push(await make(mesh, 'n1', 'a', i % 2 === 0 ? 'near' : 'far', i));
  while (performance.now() < end) {
    const until = performance.now() + SAMPLE_MS;
    await cycle(mesh, 'a', 5, Math.random, cycles);
    cycles += 5;
    // A third of them, so that each is refreshed twice in the lifetime of its token.
    for (let i = samplesTaken % REFRESHED; i < wires; i += REFRESHED) {
      const made = held[i]!;
      held[i] = { ...made, connection: await refresh(mesh, 'n1', made.connection) };
    }
    samplesTaken += 1;
    const hours = (performance.now() - started) / 3_600_000;
    for (const { name, pid, alive } of mesh.lab.processes())
      if (alive)
        samples.set(name, [
          ...(samples.get(name) ?? []),
          { hours, rss: rssMiB(pid), descriptors: readdirSync(`/proc/${pid}/fd`).length },
        ]);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, until - performance.now())));
  }
  await unmake(mesh, 'n1', held);
  const rows = [...samples].map(([name, all]) => {
    const late = all.slice(Math.floor(all.length * WARM_UP));
    const last = late.at(-1);
    // What comes and goes with a call, or with the thread that buries links, is not held.
    const lows = [...Map.groupBy(late, ({ hours }) => Math.floor(hours * 60)).values()].map(
      (minute) =>
        minute.reduce((least, sample) => (sample.descriptors < least.descriptors ? sample : least)),
    );
    return [
      name,
      last?.rss ?? 0,
      slope(late.map(({ hours, rss }) => [hours, rss])),
      String(lows.at(-1)?.descriptors ?? 0),
      slope(lows.map(({ hours, descriptors }) => [hours, descriptors])),
    ];
  });
  console.log(
    table(
      `${wires} wires held for ${minutes} min, ${cycles} others made and closed, half of them by callers that gave up`,
      ['process', 'RSS, MiB', 'MiB an hour', 'least descriptors of a minute', 'an hour'],
      rows,
    ),
  );
  const left = await residueLeft(mesh, 60_000);
  console.log(`left over: ${left}`);
  process.exitCode = left === 0 ? 0 : 1;
} finally {
  await mesh.stop();
}
