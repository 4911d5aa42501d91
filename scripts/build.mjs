// Bundles every service into dist/<name>, started by its main.mjs, with what cannot be bundled beside them, so that dist can be copied as it is.
// Does nothing when no source has changed since the last time. Usage: node scripts/build.mjs [--force]
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build as bundle } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const stamp = join(dist, '.sources');
export const SERVICES = ['identity', 'registry', 'nsmgr', 'forwarder', 'nsc', 'nse', 'nsm'];

/** What is bundled, by service and then by the name of the result without its ending. Services that do not exist are left out. */
const entries = () =>
  SERVICES.filter((name) => existsSync(join(root, `services/${name}/src/main.ts`))).map((name) => [
    name,
    {
      program: `services/${name}/src/main.ts`,
      ...(name === 'forwarder' ? { 'kernel-worker': 'libs/datapath/src/worker.ts' } : {}),
    },
  ]);

const files = (dir) =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return [];
    const path = join(dir, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });

/** What the programs say of themselves. Where there is no repository (in an image's build), NSM_COMMIT is told. */
export function release() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const git = (...args) => spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' });
  const { status, stdout } = git('rev-parse', '--short=12', 'HEAD');
  return { version, commit: status === 0 ? stdout.trim() : process.env.NSM_COMMIT || 'unknown' };
}

/** A digest of names, sizes and times of everything that could end up in a bundle. */
function fingerprint() {
  const sources = ['proto/src', 'libs', 'services'].flatMap((dir) => files(join(root, dir)));
  const fixed = ['pnpm-lock.yaml', 'scripts/build.mjs'].map((file) => join(root, file));
  const hash = createHash('sha256').update(
    `${process.arch} ${process.version} ${Object.values(release()).join(' ')}\n`,
  );
  for (const file of [...sources, ...fixed].filter((name) => !name.endsWith('.test.ts')).sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Replaces a file in one step: a lab that is up may be about to read it. */
function put(file, contents, mode) {
  mkdirSync(dirname(file), { recursive: true });
  const part = `${file}.${process.pid}`;
  writeFileSync(part, contents);
  if (mode !== undefined) chmodSync(part, mode);
  renameSync(part, file);
}

/** What a package needs only to be compiled or read about. */
const UNUSED = /^\/(vendor|doc|cnoke\.cjs|CHANGELOG\.md)(\/|$)/;

/** The FFI library cannot be bundled: it loads a binary. Its package and the one with the binary go beside the bundles. */
function copyFfi() {
  const koffi = realpathSync(join(root, 'libs/netlink/node_modules/koffi'));
  for (const name of ['koffi', `@koromix/koffi-linux-${process.arch}`]) {
    // What a package depends on stands beside it.
    const from = realpathSync(join(koffi, '..', name));
    const to = join(dist, 'node_modules', name);
    if (existsSync(to) && versionOf(to) === versionOf(from)) continue;
    rmSync(to, { recursive: true, force: true });
    const filter = (path) => !UNUSED.test(path.slice(from.length));
    cpSync(from, to, { recursive: true, dereference: true, filter });
  }
}

const versionOf = (dir) => JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).version;

/** What starts a program: it is compiled once per machine, where dist can be written to. */
const MAIN = `// Made by scripts/build.mjs.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
enableCompileCache(join(import.meta.dirname, '..', '.compile-cache'));
await import('./program.mjs');
`;

/** `dist/bin/NAME`: a program under the Node it was built for. */
const launcher = (name) => `#!/bin/sh
# Made by scripts/build.mjs.
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
node=$here/../node/node
[ -x "$node" ] || node=$here/${relative(join(dist, 'bin'), process.execPath)}
[ -x "$node" ] || node=node
NSM_COMMAND=$0 exec "$node" "$here/../${name}/main.mjs" "$@"
`;

/** What is imported when it is needed becomes a file of its own, named by its contents, and costs nobody memory before. */
async function bundleService([name, entryPoints]) {
  const { outputFiles } = await bundle({
    absWorkingDir: root,
    entryPoints,
    outdir: join(dist, name),
    outExtension: { '.js': '.mjs' },
    chunkNames: 'part-[hash]',
    bundle: true,
    splitting: true,
    // The source stays in memory as long as the program runs.
    minifyWhitespace: true,
    minifySyntax: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    conditions: ['source'],
    external: ['koffi'],
    define: {
      NSM_VERSION: JSON.stringify(release().version),
      NSM_COMMIT: JSON.stringify(release().commit),
    },
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'warning',
    // Packages that are CommonJS inside call require().
    banner: {
      js: "import { createRequire as nsmRequire } from 'node:module';\nconst require = nsmRequire(import.meta.url);",
    },
  });
  return outputFiles;
}

/** Removes what earlier builds have made beside these. A lab that is up may still load it, so only what is given away does without. */
function removeOthers(outputs) {
  const made = new Set(outputs.map(({ path }) => path));
  for (const name of SERVICES)
    for (const file of files(join(dist, name)).filter((path) => basename(path).startsWith('part-')))
      if (!made.has(file)) rmSync(file);
}

/** Builds what has changed; true when there was anything to do. `force`: all, and nothing of earlier builds stays. */
export async function build({ force = false } = {}) {
  const current = fingerprint();
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === current) return false;
  const outputs = await Promise.all(entries().map(bundleService));
  rmSync(join(dist, '.compile-cache'), { recursive: true, force: true });
  for (const { path, contents } of outputs.flat()) put(path, contents);
  if (force) removeOthers(outputs.flat());
  copyFfi();
  const topologies = join(root, 'services/nsm/topologies');
  for (const name of existsSync(topologies) ? readdirSync(topologies) : [])
    put(join(dist, 'topologies', name), readFileSync(join(topologies, name)));
  for (const name of SERVICES) put(join(dist, name, 'main.mjs'), MAIN);
  for (const name of SERVICES) put(join(dist, 'bin', name), launcher(name), 0o755);
  put(stamp, current);
  return true;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const started = performance.now();
  const did = await build({ force: process.argv.includes('--force') });
  const took = `${(performance.now() - started).toFixed(0)} ms`;
  console.log(
    did ? `built ${entries().length} programs in dist (${took})` : `dist is current (${took})`,
  );
}
