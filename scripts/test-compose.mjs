// Runs the compose file, and scenarios in containers made of its templates, with real packets and kills. Needs root, for the
// namespaces of the containers. Uses the engine that runs; without one starts dockerd in a temporary folder and a network
// namespace of its own, and removes both. Usage: npm run test:compose [-- --install] [--compose PROGRAM] [JEST ARGUMENT ...]
// --install: as root, apt-get install what is missing (docker.io, docker-compose, mmdebstrap). --compose: a docker-compose of either
// generation, instead of the first that is found. Exit code 77: no engine can be had.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineRuns, findCompose, findDocker, NO_ENGINE, startEngine } from './engine.mjs';
import { has, installMissing } from './debian-packages.mjs';
import { buildImages } from './images.mjs';

const root = join(import.meta.dirname, '..');
const args = process.argv.slice(2);
/** Takes an option and `count` words after it out of the arguments; what is left is for Jest. */
const take = (option, count) => {
  const at = args.indexOf(option);
  return at < 0 ? undefined : args.splice(at, count + 1);
};
const install = take('--install', 0) !== undefined;
const wanted = take('--compose', 1)?.[1];
const say = (text) => console.log(`test:compose: ${text}`);
const PACKAGES = {
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  mmdebstrap: 'mmdebstrap',
};

function giveUp(reason) {
  console.error(`test:compose: not run: ${reason}`);
  process.exit(NO_ENGINE);
}

/** An engine to use: the one that runs, or one of our own. */
async function engine() {
  const docker = findDocker();
  if (docker !== undefined && engineRuns(docker))
    return { env: process.env, stop: async () => undefined };
  if (!has('dockerd') || docker === undefined)
    giveUp(
      'no container engine runs, and none is installed; as root: npm run test:compose -- --install',
    );
  const folder = mkdtempSync(join(tmpdir(), 'nsm-engine-'));
  say(`no engine runs: starting dockerd in ${folder}`);
  return startEngine(folder).catch((error) => giveUp(error.message));
}

if (process.getuid() !== 0) giveUp('it enters the namespaces of containers, which needs root');
if (install) {
  const fault = installMissing(PACKAGES, say);
  if (fault !== undefined) giveUp(fault);
}
const { env, stop } = await engine();
let child;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child?.kill(signal));
let status = 1;
try {
  const docker = findDocker(env);
  const compose = findCompose(docker, env, wanted);
  if (compose === undefined) {
    await stop();
    giveUp(`cannot be started: ${wanted ?? 'neither "docker compose" nor docker-compose'}`);
  }
  say(`compose ${compose.version}: ${compose.command.join(' ')}`);
  await buildImages({ env, base: env === process.env ? 'auto' : 'local' });
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  child = spawn(
    process.execPath,
    [jest, '--config', 'jest.compose.config.js', '--runInBand', ...args],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...env,
        NSM_TEST_DOCKER: JSON.stringify([docker, ...compose.command]),
        NODE_OPTIONS:
          '--conditions=source --experimental-vm-modules --disable-warning=ExperimentalWarning',
      },
    },
  );
  status = await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
} finally {
  await stop();
}
say(env === process.env ? 'the engine was not ours and stays' : 'the engine is gone');
process.exit(status);
