// Runs one of the project's scripts under the Node version the lockfile pins, after installing what the lockfile names.
// Needs only Node >= 20 and npm on the host. Usage: node scripts/bootstrap.mjs SCRIPT [ARG ...]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PNPM = 'pnpm@12.21.0';
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [script, ...args] = process.argv.slice(2);

const fail = (text) => {
  process.stderr.write(`${text}\n`);
  process.exit(1);
};

if (process.platform !== 'linux')
  fail('Network Service Mesh needs Linux: it programs network namespaces.');

/** Installing is skipped when the last install that succeeded saw the same lockfile. */
const stamp = join(root, 'node_modules', '.nsm-installed');
const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
const current = existsSync(stamp) && readFileSync(stamp, 'utf8') === lockfile;
if (!current) {
  const flags = ['--yes', PNPM, 'install', '--frozen-lockfile', '--reporter=append-only'];
  const install = spawnSync('npx', flags, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  if (install.error)
    fail(`npx cannot be started: ${install.error.message}. Install npm beside Node.`);
  if (install.status !== 0) fail(`${install.stdout}\n${install.stderr}\npnpm install failed`);
  writeFileSync(stamp, lockfile);
}

const node = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
if (!existsSync(node) || !statSync(node).isFile())
  fail(`no pinned Node for ${process.arch}: package.json lists x64 and arm64`);
const child = spawn(node, [join(root, script), ...args], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
});
// A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone has to be passed on.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
