// The gate beside the tests: format, lint, types, boundaries, dead code, protocol, generated-is-current.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules/.bin', name);
const steps = [
  ['format', bin('prettier'), '--check', '--log-level', 'warn', '.'],
  [
    'lint',
    bin('eslint'),
    '--max-warnings',
    '0',
    '--cache',
    '--cache-location',
    '.cache/eslint',
    '.',
  ],
  ['types', bin('tsc'), '-p', '.'],
  [
    'boundaries',
    bin('depcruise'),
    '--output-type',
    'err-long',
    'proto',
    'libs',
    'services',
    'tests',
  ],
  ['dead code', bin('knip'), '--no-config-hints'],
  ['protocol lint', bin('buf'), 'lint', 'proto'],
  ['protocol breaking', bin('buf'), 'breaking', 'proto', '--against', 'proto/contract.binpb'],
  ['generated is current', process.execPath, 'scripts/generate.mjs', '--check'],
];

let failed = 0;
for (const [name, command, ...args] of steps) {
  const started = performance.now();
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  console.log(`${status === 0 ? '✓' : '✗'} ${name} (${took})`);
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
