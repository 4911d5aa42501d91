// What starting many programs at once costs, however little they do: the floor of `npm run bench -- heal herd`.
// Usage: npm run bench -- start [PROGRAMS [ROUNDS]]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { bundledPrograms } from '@nsm/lab';
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

/** Starts all at once and waits until the last has ended; how long that takes, in ms. */
async function together(args: readonly string[]): Promise<number> {
  const started = performance.now();
  const children = Array.from({ length: programs }, () => spawn(node, args, { stdio: 'ignore' }));
  await Promise.all(children.map((child) => once(child, 'exit')));
  return performance.now() - started;
}

const rows: [string, number][] = [];
for (const [name, args] of kinds) {
  const times: number[] = [];
  for (let i = 0; i < rounds; i += 1) times.push(await together(args));
  rows.push([name, median(times)]);
}
console.log(table(`${programs} programs started at once`, ['program', 'all have ended, ms'], rows));
