// Container engines: the client that can build, the engine that runs, and an engine of one's own that leaves nothing behind.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Exit code of a script that needs an engine and has none. */
export const NO_ENGINE = 77;

const quiet = (command, args, env) => spawnSync(command, args, { encoding: 'utf8', env });

/** A docker client whose `build` is BuildKit: the first in PATH, or Debian's beside another one. Undefined: there is none. */
export function findDocker(env = process.env) {
  return ['docker', '/usr/bin/docker'].find((client) => {
    const { status, stdout } = quiet(client, ['version', '--format', '{{.Client.Version}}'], env);
    const version = /^(\d+)\./m.exec(stdout ?? '')?.[1];
    if (version === undefined && status !== 0) return false;
    // From 23 on BuildKit is a plugin, before it is built in since 18.09.
    return Number(version) < 23 || quiet(client, ['buildx', 'version'], env).status === 0;
  });
}

/** Whether an engine answers the client. */
export const engineRuns = (docker, env = process.env) =>
  quiet(docker, ['info', '--format', '{{.ID}}'], env).status === 0;

/** The command `wanted`, or else `docker compose`, or docker-compose, with its version; undefined: it cannot be started. */
export function findCompose(docker, env = process.env, wanted = undefined) {
  const candidates = wanted === undefined ? [[docker, 'compose'], ['docker-compose']] : [[wanted]];
  for (const command of candidates) {
    const { status, stdout } = quiet(command[0], [...command.slice(1), 'version', '--short'], env);
    if (status === 0) return { command, version: stdout.trim() };
  }
  return undefined;
}

/**
 * Starts dockerd by hand in `folder`, in a network namespace of its own: its bridges and filter rules end with it. It can pull
 * nothing. Answers the environment for clients, and how to end it.
 * @throws Error with the end of its log when it does not come up, the reason of `signal` when aborted; nothing is left then
 */
export async function startEngine(folder, signal) {
  mkdirSync(folder, { recursive: true });
  const socket = join(folder, 'd.sock');
  const env = { ...process.env, DOCKER_HOST: `unix://${socket}` };
  const log = join(folder, 'dockerd.log');
  const out = openSync(log, 'a');
  const flags = ['--data-root', join(folder, 'root'), '--exec-root', join(folder, 'exec')];
  const daemon = spawn(
    'unshare',
    ['--net', 'dockerd', ...flags, '-H', env.DOCKER_HOST, '-p', join(folder, 'pid')],
    // A Ctrl-C is for whoever uses it, and may need it for a while yet.
    { stdio: ['ignore', out, out], detached: true },
  );
  const ended = new Promise((resolve) => daemon.once('close', resolve));
  const stop = async () => {
    daemon.kill('SIGTERM');
    await ended;
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  const docker = findDocker(env);
  try {
    for (let left = 300; !engineRuns(docker, env); left -= 1) {
      if (left === 0 || daemon.exitCode !== null) {
        const said = existsSync(log)
          ? readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')
          : '';
        throw new Error(`dockerd did not come up:\n${said}`);
      }
      await sleep(100, undefined, { signal });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { env, stop };
}

/** Removes the containers, networks and volumes of compose projects whose name matches, as a test leaves them that was killed. */
export function removeProjects(docker, env, name) {
  const kinds = [
    ['container', '{{.ID}}', ['--all'], ['--force', '--volumes']],
    ['network', '{{.ID}}', [], []],
    ['volume', '{{.Name}}', [], []],
  ];
  for (const [kind, id, list, remove] of kinds) {
    const format = `${id} {{.Label "com.docker.compose.project"}}`;
    const found = quiet(docker, [kind, 'ls', ...list, '--format', format], env).stdout.split('\n');
    const theirs = found.map((line) => line.split(' ')).filter(([, of]) => name.test(of));
    if (theirs.length > 0)
      quiet(docker, [kind, 'rm', ...remove, ...theirs.map(([each]) => each)], env);
  }
}

/** What an engine that was killed may leave mounted. */
function unmountBelow(folder) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  for (const path of mounts.map((line) => line.split(' ')[1] ?? '').toReversed())
    if (path.startsWith(`${folder}/`)) spawnSync('umount', ['--lazy', path]);
}
