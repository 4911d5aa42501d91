// What starting many programs at once costs, however little they do: the floor of `npm run bench -- heal herd`.
// Usage: npm run bench -- start [PROGRAMS [ROUNDS]]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { bundledPrograms } from '@nsm/lab';
import { childrenCpuMs } from './lib/process.ts';
import { median, table } from './lib/stats.ts';

const [programs = 50, rounds = 5] = process.argv.slice(2).map(Number);

const builtins = `
for (const name of ['http2', 'tls', 'crypto', 'net', 'fs', 'zlib']) process.getBuiltinModule(name);`;
const [node = '', ...flags] = bundledPrograms().nsc;
const kinds: readonly [string, readonly string[]][] = [
  ['Node, with nothing to do', ['--eval', '']],
  ['Node, with the modules of its own that gRPC needs', ['--eval', builtins]],
  ['the client, asked for its version', [...flags, '--version']],
];

/** As a lab starts its processes: without what this shell has set for Node. */
const env = { PATH: process.env['PATH'] ?? '' };

/** Starts all at once and waits until the last has ended; how long that takes, and the processor time of each, in ms. */
async function together(args: readonly string[]): Promise<{ ms: number; cpu: number }> {
  const [started, used] = [performance.now(), childrenCpuMs()];
  const children = Array.from({ length: programs }, () =>
    spawn(node, args, { env, stdio: 'ignore' }),
  );
  await Promise.all(children.map((child) => once(child, 'exit')));
  return { ms: performance.now() - started, cpu: (childrenCpuMs() - used) / programs };
}

const rows: [string, number, number][] = [];
for (const [name, args] of kinds) {
  const runs: Awaited<ReturnType<typeof together>>[] = [];
  for (let i = 0; i < rounds; i += 1) runs.push(await together(args));
  rows.push([name, median(runs.map(({ ms }) => ms)), median(runs.map(({ cpu }) => cpu))]);
}
console.log(
  table(
    `${programs} programs started at once`,
    ['program', 'all have ended, ms', 'processor time of each, ms'],
    rows,
  ),
);
