// Prints the measured claims of the README. Usage: npm run bench -- setup
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { buildInterop } from './interop-program.mjs';
import { namespaced } from './namespaced.mjs';

const root = join(import.meta.dirname, '..');
const [name, ...args] = process.argv.slice(2);
const file = join(root, 'tests/bench', `${name}.ts`);
if (name === undefined || !existsSync(file)) {
  const names = readdirSync(join(root, 'tests/bench'))
    .filter((f) => f.endsWith('.ts'))
    .map((f) => f.slice(0, -3));
  console.error(`usage: npm run bench -- NAME, where NAME is one of: ${names.join(', ')}`);
  process.exit(2);
}
// Upstream's chains are built for the one that compares with them.
if (name === 'upstream') process.env.NSM_INTEROP_PROGRAM = buildInterop(root);
await build();
const [command, ...rest] = namespaced([process.execPath, '--conditions=source', file, ...args]);
process.exit(spawnSync(command, rest, { cwd: root, stdio: 'inherit' }).status ?? 1);
