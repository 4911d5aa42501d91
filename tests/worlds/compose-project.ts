import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './world.ts';

const execute = promisify(execFile);
const LIMIT = { encoding: 'utf8' as const, maxBuffer: 1 << 27 };

interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly connection?: string;
}

/** Containers of one compose file, by the names of its services. */
export interface Project {
  /** Starts services, by default all; what exists stays as it is. */
  up(services?: readonly string[]): Promise<void>;
  /** Removes containers, networks and volumes. */
  down(): Promise<void>;
  /** Containers, networks and volumes there are of it, by their names. */
  left(): readonly string[];
  start(service: string): Promise<void>;
  /** Signals a container and waits for its end; answers its exit code. */
  end(service: string, signal: 'TERM' | 'KILL'): Promise<number>;
  /** The path of its network namespace. */
  netns(service: string): string;
  /** Lines with this message since its last start. */
  log(service: string, message: string): readonly LogLine[];
  /** The same since the beginning. */
  everLogged(service: string, message: string): readonly LogLine[];
  /** Its warnings since the beginning. */
  refusals(service: string): readonly string[];
  /** SIGKILLs its process as a fault would, and waits until the engine has started it again. */
  crash(service: string): Promise<void>;
  /** How often the engine has started it again. */
  restarts(service: string): number;
  /** /proc/PID/status of its first process. */
  status(service: string): Readonly<Record<string, string>>;
  /** What a command prints. */
  exec(service: string, ...command: readonly string[]): Promise<string>;
}

/** The clients to use, as scripts/test-compose.mjs has found them. */
const [docker = 'docker', ...compose] = JSON.parse(
  process.env['NSM_TEST_DOCKER'] ?? '["docker", "docker-compose"]',
) as string[];

/** `file`: a path, or what to write into `folder`. `settings`: environment for what the file takes from there. */
export function createProject(
  name: string,
  folder: string,
  file: object | string,
  settings: Readonly<Record<string, string>> = {},
): Project {
  const path = typeof file === 'string' ? file : join(folder, 'docker-compose.json');
  if (typeof file !== 'string') writeFileSync(path, JSON.stringify(file, undefined, 1));
  const [program = '', ...words] = compose;
  const run = async (...args: string[]): Promise<void> => {
    await execute(program, [...words, '-p', name, '-f', path, ...args], {
      ...LIMIT,
      env: { ...process.env, ...settings },
    });
  };
  const mine = ['--filter', `label=com.docker.compose.project=${name}`];
  const containers = new Map<string, string>();
  const idOf = (service: string): string => {
    const its = ['--filter', `label=com.docker.compose.service=${service}`];
    const id = containers.get(service) ?? call('ps', '--all', '--quiet', ...mine, ...its).trim();
    if (!/^[0-9a-f]+$/.test(id)) throw new Error(`no container is that of the service ${service}`);
    containers.set(service, id);
    return id;
  };
  const call = (...args: string[]): string =>
    execFileSync(docker, args, { ...LIMIT, stdio: ['ignore', 'pipe', 'pipe'] });
  const inspect = (service: string, field: string): string =>
    call('inspect', '--format', `{{.State.${field}}}`, idOf(service)).trim();
  const lines = (service: string, ...since: string[]): LogLine[] =>
    call('logs', ...since, idOf(service))
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  return {
    up: (services = []) => run('up', '-d', '--no-build', '--no-recreate', ...services),
    down: () => run('down', '--volumes', '--timeout', '5'),
    left: () =>
      [
        call('ps', '--all', '--format', '{{.Names}}', ...mine),
        call('network', 'ls', '--format', '{{.Name}}', ...mine),
        call('volume', 'ls', '--format', '{{.Name}}', ...mine),
      ].flatMap((text) => text.split('\n').filter((line) => line !== '')),
    start: async (service) => {
      await execute(docker, ['start', idOf(service)], LIMIT);
    },
    end: async (service, signal) => {
      const waiting = execute(docker, ['wait', idOf(service)], LIMIT);
      if (inspect(service, 'Running') === 'true') call('kill', '--signal', signal, idOf(service));
      return Number((await waiting).stdout);
    },
    crash: async (service) => {
      const started = inspect(service, 'StartedAt');
      process.kill(Number(inspect(service, 'Pid')), 'SIGKILL');
      await eventually(
        async () => [inspect(service, 'Running'), inspect(service, 'StartedAt')],
        ([running, at]) => running === 'true' && at !== started,
        30_000,
      );
    },
    restarts: (service) => Number(call('inspect', '--format', '{{.RestartCount}}', idOf(service))),
    status: (service) =>
      Object.fromEntries(
        readFileSync(`/proc/${inspect(service, 'Pid')}/status`, 'utf8')
          .split('\n')
          .map((line) => line.split(/:\s*/) as [string, string]),
      ),
    netns: (service) => `/proc/${inspect(service, 'Pid')}/ns/net`,
    log: (service, message) =>
      lines(service, '--since', inspect(service, 'StartedAt')).filter(({ msg }) => msg === message),
    everLogged: (service, message) => lines(service).filter(({ msg }) => msg === message),
    refusals: (service) =>
      lines(service).flatMap(({ level, msg = '' }) => (level === 'warn' ? [msg] : [])),
    exec: async (service, ...command) =>
      (await execute(docker, ['exec', idOf(service), ...command], LIMIT)).stdout,
  };
}
