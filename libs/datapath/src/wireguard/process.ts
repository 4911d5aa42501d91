import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync, watch } from 'node:fs';
import { createConnection } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inNetns } from '@nsm/netlink';
import { DatapathError } from '../error.ts';

/** Where wireguard-go listens for its configuration, whatever it is told. */
const SOCKET_FOLDER = '/var/run/wireguard';
/** A process takes 10 ms until it listens, on a machine that has time for it. */
const START_MS = 10_000;
const RETRY_MS = 2;
/** And about as long until it has ended. */
const END_MS = 5_000;

/** The socket of a device. */
export const socketOf = (device: string): string => join(SOCKET_FOLDER, `${device}.sock`);

/** The devices that have a socket, alive or not, whose names begin with `prefix`. */
export const socketsThere = (prefix: string): string[] =>
  existsSync(SOCKET_FOLDER)
    ? readdirSync(SOCKET_FOLDER)
        .filter((file) => file.startsWith(prefix) && file.endsWith('.sock'))
        .map((file) => file.slice(0, -'.sock'.length))
    : [];

/** The path of a program; undefined when it cannot be started. */
function findProgram(command: string, path = process.env['PATH'] ?? ''): string | undefined {
  const places = command.includes('/')
    ? [command]
    : path.split(delimiter).map((dir) => join(dir, command));
  return places.find((place) => accessible(place, constants.X_OK));
}

/** Why no userspace device can be made here, and what to do; undefined: one can. */
export function whyNoProcess(command: string): string | undefined {
  if (findProgram(command) === undefined)
    return `the program ${command} is not there: load the module wireguard, install the package wireguard-go, or name the binary in NSM_WIREGUARD_GO`;
  if (!accessible('/dev/net/tun', constants.R_OK | constants.W_OK))
    return '/dev/net/tun cannot be opened: give the forwarder this device';
  try {
    mkdirSync(SOCKET_FOLDER, { recursive: true, mode: 0o755 });
    accessSync(SOCKET_FOLDER, constants.W_OK);
    return undefined;
  } catch (error) {
    return `${SOCKET_FOLDER} cannot be written to (${String(error)}): make it writable for the forwarder`;
  }
}

/**
 * Starts the process of a device, whose UDP socket will be in the namespace `node` (ours when absent), and waits until it
 * listens. It is nobody's child in spirit: it lives on when we end, so it gets no pipe of ours that could break.
 * @throws DatapathError when it ends or stays silent instead
 */
export async function startProcess(
  command: string,
  device: string,
  node: string | undefined,
): Promise<void> {
  const file = `${device}.sock`;
  const appeared = Promise.withResolvers<undefined>();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(appeared.reject);
  appeared.promise.catch(() => undefined);
  const ended = new AbortController();
  rmSync(socketOf(device), { force: true });
  const watcher = watch(SOCKET_FOLDER, (_, name) => {
    if (name === file && existsSync(socketOf(device))) appeared.resolve(undefined);
  });
  const run = (): ReturnType<typeof spawn> =>
    spawn(command, ['-f', device], {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: { LOG_LEVEL: 'silent', WG_PROCESS_FOREGROUND: '1' },
    });
  const child = node === undefined ? run() : inNetns(node, run);
  child.unref();
  const timer = setTimeout(
    () => failure.reject(failed(command, device, `it did not listen within ${START_MS} ms`)),
    START_MS,
  );
  child.once('error', (error) => failure.reject(failed(command, device, error.message)));
  child.once('exit', (code, signal) =>
    failure.reject(
      failed(command, device, `it ended at once (${signal ?? `exit code ${code ?? 0}`})`),
    ),
  );
  try {
    if (!existsSync(socketOf(device))) await appeared.promise;
    await Promise.race([accepting(socketOf(device), ended.signal), failure.promise]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
    ended.abort();
    watcher.close();
    child.removeAllListeners('exit');
  }
}

/** Waits until somebody accepts: the socket's file is there a moment before. */
async function accepting(path: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const connection = createConnection(path, () => resolve(true));
    connection.on('error', () => resolve(false));
    const accepts = await promise;
    connection.destroy();
    if (accepts) return;
    await pause(RETRY_MS);
  }
}

/** Ends the process of a device, if there is one: it ends when its socket's file goes, and takes its interface along. */
export async function endProcess(device: string): Promise<void> {
  const path = socketOf(device);
  if (!existsSync(path)) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => resolve(undefined);
  // What is connected to a process hears of its end.
  const connection = createConnection(path, () => rmSync(path, { force: true }));
  connection.setTimeout(END_MS, done);
  connection.on('error', done).on('close', done).resume();
  await promise;
  connection.destroy();
  rmSync(path, { force: true });
}

const failed = (command: string, device: string, why: string): DatapathError =>
  new DatapathError({
    message: `${command} ${device}: ${why}`,
    code: '',
    operation: `${command} ${device}`,
  });

function accessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
