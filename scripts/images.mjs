// Builds every target of the Dockerfile from bundles made here. Usage: npm run images [-- --base official|local] [--tag TAG]
// Without the official base (no registry can be reached) a local one is made of Debian packages and the pinned Node.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { build, release } from './build.mjs';
import { engineRuns, findDocker, NO_ENGINE } from './engine.mjs';
import { writeSboms } from './sbom.mjs';

const root = join(import.meta.dirname, '..');
const OFFICIAL = 'node:24-bookworm-slim';
const TARGETS = ['identity', 'registry', 'nsmgr', 'forwarder', 'nsc', 'nse', 'nsm'];

/** A C library for Node, one static program as shell and tools, certificates; then the Node of this project. */
const PACKAGES = [
  'base-files',
  'busybox-static',
  'ca-certificates',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
  'netbase',
];

/** What is done once they are unpacked, in the folder `$1`. */
const HOOKS = [
  'mkdir -p "$1/usr/local/bin" "$1/var/lib/dpkg"',
  `cp "${process.execPath}" "$1/usr/local/bin/node"`,
  '! command -v strip > /dev/null || strip "$1/usr/local/bin/node"',
  'for tool in $("$1/bin/busybox" --list); do [ -e "$1/bin/$tool" ] || ln -s busybox "$1/bin/$tool"; done',
  'cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"',
  `printf 'root:x:0:0::/root:/bin/sh\\nnonroot:x:65532:65532::/:/bin/sh\\n' > "$1/etc/passwd"`,
  // As the package manager would write it down, for whoever asks what is in it.
  `for deb in "$1"/var/cache/apt/archives/*.deb; do dpkg-deb -f "$deb" | sed 's/^Package: .*/&\\nStatus: install ok installed/'; echo; done > "$1/var/lib/dpkg/status"`,
];
/** Changes with what a base is made of. */
const RECIPE = createHash('sha256')
  .update([process.arch, process.version, ...PACKAGES, ...HOOKS].join('\n'))
  .digest('hex')
  .slice(0, 8);
const LOCAL = `nsm-base:node-${process.version}-${RECIPE}`;

const say = (text) => console.log(`images: ${text}`);

function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (error) throw new Error(`${command} cannot be started: ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

/** The file system of the local base; kept from one time to the next. */
function localBase() {
  const tar = join(root, '.cache', `base-${process.arch}-${process.version}-${RECIPE}.tar`);
  if (existsSync(tar)) return tar;
  if (spawnSync('mmdebstrap', ['--version']).status !== 0)
    throw new Error(
      `neither ${OFFICIAL} can be had nor a base made here: mmdebstrap is missing (apt-get install mmdebstrap)`,
    );
  say(`making a base of ${PACKAGES.join(', ')} and Node ${process.version}`);
  mkdirSync(join(root, '.cache'), { recursive: true });
  // The name's end says that an archive is wanted.
  const part = tar.replace(/\.tar$/, `.${process.pid}.part.tar`);
  run('mmdebstrap', [
    '--quiet',
    '--variant=extract',
    `--include=${PACKAGES.join(',')}`,
    ...['doc', 'man', 'locale', 'info'].map((dir) => `--dpkgopt=path-exclude=/usr/share/${dir}/*`),
    ...HOOKS.map((hook) => `--extract-hook=${hook}`),
    'bookworm',
    part,
  ]);
  renameSync(part, tar);
  return tar;
}

/** Answers the name of an image to build on. */
function baseImage(docker, env, wanted) {
  const has = (image) =>
    spawnSync(docker, ['image', 'inspect', image], { env, stdio: 'ignore' }).status === 0;
  if (wanted !== 'local') {
    if (has(OFFICIAL)) return OFFICIAL;
    say(`pulling ${OFFICIAL}`);
    const pulled = spawnSync(docker, ['pull', '--quiet', OFFICIAL], {
      env,
      timeout: 120_000,
      stdio: 'ignore',
    });
    if (pulled.status === 0) return OFFICIAL;
    if (wanted === 'official') throw new Error(`${OFFICIAL} cannot be pulled`);
    say('it cannot be pulled');
  }
  if (!has(LOCAL)) {
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    run(docker, ['import', '--change', `ENV ${path}`, localBase(), LOCAL], env);
  }
  return LOCAL;
}

/** What the base is made of: the status file of its package manager, and the version of its Node. */
function contentsOf(docker, env, image) {
  const call = (...args) => execFileSync(docker, args, { env, encoding: 'utf8' });
  const folder = mkdtempSync(join(tmpdir(), 'nsm-base-'));
  const container = call('create', image, 'true').trim();
  try {
    call('cp', `${container}:/var/lib/dpkg/status`, folder);
    return {
      packages: readFileSync(join(folder, 'status'), 'utf8'),
      node: call('run', '--rm', '--network=none', image, 'node', '--version').trim(),
    };
  } finally {
    call('rm', container);
    rmSync(folder, { recursive: true });
  }
}

/** Builds all images; answers their names. @throws Error with the step that failed, the reason of `signal` when aborted */
export async function buildImages({
  env = process.env,
  base = 'auto',
  tag = 'local',
  signal,
} = {}) {
  const docker = findDocker(env);
  const mib = (name) => {
    const size = execFileSync(docker, ['image', 'inspect', '--format', '{{.Size}}', name], { env });
    return Number(size) / 2 ** 20;
  };
  /** Steps are synchronous: a signal is heard between them. */
  const next = () => turn(undefined, { signal });
  const { version, commit } = release();
  await build({ force: true });
  await next();
  const image = baseImage(docker, env, base);
  writeSboms(contentsOf(docker, env, image));
  say(`${image} has ${mib(image).toFixed(1)} MiB, which all images share`);
  const names = [];
  for (const target of TARGETS) {
    await next();
    const name = `nsm/${target}`;
    const started = performance.now();
    const args = {
      BASE_IMAGE: image,
      BUNDLES: 'prebuilt',
      VERSION: version,
      COMMIT: commit,
    };
    run(
      docker,
      [
        'build',
        '--quiet',
        '--network=none',
        ...['--target', target, '--tag', `${name}:${tag}`, '--tag', `${name}:${version}`],
        ...Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
        '.',
      ],
      { ...env, DOCKER_BUILDKIT: '1' },
    );
    names.push(`${name}:${tag}`);
    const seconds = (performance.now() - started) / 1_000;
    const own = mib(`${name}:${tag}`) - mib(image);
    say(`${name}:${tag} adds ${own.toFixed(1)} MiB (built in ${seconds.toFixed(1)} s)`);
  }
  return names;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: {
      base: { type: 'string', default: 'auto' },
      tag: { type: 'string', default: 'local' },
    },
  });
  const docker = findDocker();
  if (docker === undefined || !engineRuns(docker)) {
    console.error(
      docker === undefined
        ? 'no docker client that builds with BuildKit is there: install docker with its buildx plugin, or Debian docker.io'
        : 'no container engine answers: start one, or set DOCKER_HOST',
    );
    process.exit(NO_ENGINE);
  }
  await buildImages(values);
}
