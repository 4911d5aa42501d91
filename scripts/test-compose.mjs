// Runs the compose file, and scenarios in containers made of its templates, with real packets and kills. Needs root, for the
// namespaces of the containers. Uses the engine that runs; without one starts dockerd in a temporary folder and a network
// namespace of its own, and removes both. Usage: npm run test:compose [-- --install] [--compose PROGRAM] [JEST ARGUMENT ...]
// --install: as root, apt-get install what is missing (docker.io, docker-compose, mmdebstrap). --compose: a docker-compose of either
// generation, instead of the first that is found. Exit code 77: no engine can be had.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
  engineRuns,
  findCompose,
  findDocker,
  NO_ENGINE,
  removeProjects,
  startEngine,
} from './engine.mjs';
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
async function engine(signal) {
  const docker = findDocker();
  if (docker !== undefined && engineRuns(docker))
    return { env: process.env, stop: async () => undefined };
  if (!has('dockerd') || docker === undefined)
    giveUp(
      'no container engine runs, and none is installed; as root: npm run test:compose -- --install',
    );
  const folder = mkdtempSync(join(tmpdir(), 'nsm-engine-'));
  say(`no engine runs: starting dockerd in ${folder}`);
  return startEngine(folder, signal).catch((error) => {
    signal.throwIfAborted();
    giveUp(error.message);
  });
}

/** Runs Jest with its temporary files in `folder`; answers how it ended. */
function runJest(docker, compose, env, folder, signal) {
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/jest/bin/jest.js'),
      ...['--config', 'jest.compose.config.js', '--runInBand', ...args],
    ],
    {
      cwd: root,
      stdio: 'inherit',
      // A group of its own, to be ended with what it has started.
      detached: true,
      env: {
        ...env,
        TMPDIR: folder,
        NSM_TEST_DOCKER: JSON.stringify([docker, ...compose.command]),
        NODE_OPTIONS:
          '--conditions=source --experimental-vm-modules --disable-warning=ExperimentalWarning',
      },
    },
  );
  const end = () => process.kill(-child.pid, 'SIGKILL');
  signal.addEventListener('abort', end);
  return new Promise((resolve) =>
    child.once('exit', (code) => {
      signal.removeEventListener('abort', end);
      resolve(code ?? 1);
    }),
  );
}

if (process.getuid() !== 0) giveUp('it enters the namespaces of containers, which needs root');
if (install) {
  const fault = installMissing(PACKAGES, say);
  if (fault !== undefined) giveUp(fault);
}
// A signal ends what is under way; what was made until then is removed.
const over = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => over.abort(signal));
/** What is to be undone, the last first. */
const undo = [];
let status = 1;
try {
  const { env, stop } = await engine(over.signal);
  undo.push(async () => {
    await stop();
    say(env === process.env ? 'the engine was not ours and stays' : 'the engine is gone');
  });
  const docker = findDocker(env);
  const compose = findCompose(docker, env, wanted);
  if (compose === undefined) {
    await stop();
    giveUp(`cannot be started: ${wanted ?? 'neither "docker compose" nor docker-compose'}`);
  }
  say(`compose ${compose.version}: ${compose.command.join(' ')}`);
  await buildImages({
    env,
    base: env === process.env ? 'auto' : 'local',
    signal: over.signal,
  });
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  chmodSync(folder, 0o755);
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  // Nothing is left of tests that have come to their end.
  undo.push(() => removeProjects(docker, env, /^nsm-(shipped|yours|test-.*)$/));
  status = await runJest(docker, compose, env, folder, over.signal);
} catch (error) {
  // It may be that of a step which the same signal has ended.
  await turn();
  if (!over.signal.aborted) throw error;
} finally {
  for (const step of undo.toReversed()) await step();
}
if (over.signal.aborted) status = over.signal.reason === 'SIGINT' ? 130 : 143;
process.exit(status);
