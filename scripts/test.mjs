// Everything: units first, then what needs the kernel, in a network and mount namespace of its own (as root, or in a user
// namespace without). Arguments go to jest; with any, only the matching tests run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import { namespaced } from './namespaced.mjs';
import { wireguardGo } from './wireguard-go.mjs';

const root = join(import.meta.dirname, '..');
const args = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'nsm-test-'));
const counts = join(scratch, 'counts');
const env = {
  ...process.env,
  NSM_TEST_COUNTS: counts,
  NODE_OPTIONS:
    '--conditions=source --experimental-vm-modules --disable-warning=ExperimentalWarning',
};
// Node 24 has run into "Check failed: jit_page.has_value()" where WebAssembly's collector of dead code frees a wrapper of an import: here
// of the module that takes the types out of a worker's program, in one of several threads. It may keep them.
const jest = [
  process.execPath,
  '--no-wasm-code-gc',
  join(root, 'node_modules/jest/bin/jest.js'),
  '--passWithNoTests',
];

const wireguard = wireguardGo(root);
if (wireguard.program) env.NSM_WIREGUARD_GO = wireguard.program;

// Scenarios start the real programs.
await build();

const run = (command) =>
  spawnSync(command[0], command.slice(1), { cwd: root, stdio: 'inherit', env }).status ?? 1;
// Scenarios start whole meshes of processes: one file at a time, so that none starves another.
const runs = [
  [...jest, ...args, '--selectProjects', 'unit'],
  namespaced([...jest, ...args, '--runInBand', '--selectProjects', 'kernel']),
  namespaced([...jest, ...args, '--runInBand', '--selectProjects', 'scenarios']),
  ...(wireguard.program
    ? [namespaced([...jest, ...args, '--runInBand', '--selectProjects', 'wireguard'])]
    : []),
];
const failed = runs.map(run).some((status) => status !== 0);

const sum = { passed: 0, failed: 0, skipped: 0 };
if (existsSync(counts))
  for (const line of readFileSync(counts, 'utf8').trim().split('\n')) {
    const count = JSON.parse(line);
    for (const key of Object.keys(sum)) sum[key] += count[key];
  }
rmSync(scratch, { recursive: true, force: true });
if (!wireguard.program) console.log(`\nThe tests of WireGuard were left out: ${wireguard.why}`);
console.log("\nUpstream's own code against ours was not run: npm run interop does, and needs Go.");
console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exit(failed || sum.failed > 0 || sum.passed === 0 ? 1 : 0);
