// Upstream's own code against ours: builds tests/interop (needs Go), then runs the matrix in namespaces of its own. Prints a table;
// exits with 1 where anything failed. Usage: npm run interop [-- WORD ...], words select meshes by their names.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { buildInterop } from './interop-program.mjs';
import { namespaced } from './namespaced.mjs';

const root = join(import.meta.dirname, '..');
const program = buildInterop(root);
await build();
const matrix = join(root, 'tests/interop/matrix.ts');
const [command, ...args] = namespaced([
  process.execPath,
  '--conditions=source',
  matrix,
  ...process.argv.slice(2),
]);
const env = { ...process.env, NSM_INTEROP_PROGRAM: program };
process.exit(spawnSync(command, args, { cwd: root, stdio: 'inherit', env }).status ?? 1);
