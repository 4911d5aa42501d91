import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { inNetns } from '@nsm/netlink';
import { NsmError } from '@nsm/rpc';

/** What came of a command. */
export interface ExecResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  /** Written to its standard input. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the command. */
  readonly signal?: AbortSignal;
}

/** Starts a command inside a namespace. Its failure to start is an `error` event. */
export function spawnIn(
  netns: string,
  argv: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const [program, ...args] = argv;
  if (program === undefined) throw new NsmError('invalid-argument', 'no command was given');
  return inNetns(netns, () => spawn(program, args, options));
}

/** Waits for a command and takes what it prints. @throws NsmError not-found when it cannot be started; the signal's reason */
export async function finished(child: ChildProcess, input: string): Promise<ExecResult> {
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream]?.setEncoding('utf8').on('data', (data: string) => (text[stream] += data));
  // A command that does not read its input is not a failure.
  child.stdin?.on('error', () => undefined).end(input);
  const { promise, resolve, reject } = Promise.withResolvers<ExecResult>();
  child.once('error', (cause) => {
    if (cause.name === 'AbortError') reject(cause);
    else
      reject(
        new NsmError('not-found', `${child.spawnfile} cannot be started: ${cause.message}`, {
          cause,
        }),
      );
  });
  child.once('close', (code, signal) => resolve({ code, signal, ...text }));
  return promise;
}
