import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { inNamespacesOf, inOwnNamespaces, type Lab, listLabs, type Places } from '@nsm/lab';

/** Whether this user has to go into a user namespace to make or to enter namespaces. */
const unprivileged = (): boolean => process.getuid?.() !== 0;

/**
 * Runs the whole command again inside namespaces of its own when this user could not make any; undefined when that is not needed.
 * @throws NsmError permission-denied where the host forbids it
 */
export function inOwn(places: Places): Promise<number> | undefined {
  if (!unprivileged()) return undefined;
  // In there, every user looks like root; whose folder it is can only be seen here.
  listLabs(places.stateRoot);
  return again(inOwnNamespaces(thisCommand()), places);
}

/** Runs the whole command again where the namespaces of a running lab can be seen; undefined when that is here. */
export function besides(lab: Lab, places: Places): Promise<number> | undefined {
  const alive = lab.processes().find((process) => process.alive);
  if (!unprivileged() || alive === undefined) return undefined;
  return again(inNamespacesOf(alive.pid, thisCommand()), places);
}

const thisCommand = (): string[] => [
  process.execPath,
  ...process.execArgv,
  ...process.argv.slice(1),
];

async function again(command: readonly string[], { stateRoot }: Places): Promise<number> {
  const [program = '', ...args] = command;
  // There, everybody is root: the place of labs has to be told.
  const env = { ...process.env, NSM_LAB_STATE: stateRoot };
  const child = spawn(program, args, { stdio: 'inherit', env });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  child.once('exit', (code, signal) => resolve(exitCode(code, signal)));
  return promise;
}

/** The exit code a shell gives to the end of a command. */
export const exitCode = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
