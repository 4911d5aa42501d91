import { spawnSync } from 'node:child_process';
import { NsmError } from '@nsm/rpc';

/**
 * Namespaces without root: a user namespace in which this user is root, with a network namespace (there has to be one to come back
 * to) and a mount namespace (the network namespaces are mounted in it) of its own. It lives as long as its last process.
 */
const OWN = ['unshare', '--user', '--map-root-user', '--net', '--mount', '--propagation=private'];
const ENTER = ['nsenter', '--preserve-credentials', '--user', '--net', '--mount'];

const HINT = `allow user namespaces with one of
  sysctl -w user.max_user_namespaces=15000                    (where it is 0)
  sysctl -w kernel.unprivileged_userns_clone=1                (Debian and Ubuntu before 24.04)
  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0    (Ubuntu 24.04 and later)
or run the command as root; within a container, it also needs the right to make them`;

/** Runs a command to find out whether it works: why it does not, if it could be started at all. */
type Probe = (argv: readonly string[]) => {
  readonly error?: Error | undefined;
  readonly status: number | null;
  readonly stderr: string;
};

const run: Probe = ([program = '', ...args]) => spawnSync(program, args, { encoding: 'utf8' });

/** A command as it runs inside namespaces of its own. @throws NsmError permission-denied where the host forbids them, which says how to allow it */
export function inOwnNamespaces(command: readonly string[], probe = run): string[] {
  const { error, status, stderr } = probe([...OWN, 'true']);
  if (error !== undefined) throw missing(error);
  if (status !== 0)
    throw new NsmError(
      'permission-denied',
      `this host gives no namespaces to users without root: ${stderr.trim()}`,
      { hint: HINT },
    );
  return [...OWN, ...command];
}

/** A command as it runs inside the namespaces of a process of this user. @throws NsmError not-found without nsenter(1) */
export function inNamespacesOf(pid: number, command: readonly string[], probe = run): string[] {
  const { error } = probe(['nsenter', '--version']);
  if (error !== undefined) throw missing(error);
  return [...ENTER, `--target=${pid}`, ...command];
}

const missing = (cause: Error): NsmError =>
  new NsmError('not-found', `namespaces cannot be made or entered: ${cause.message}`, {
    cause,
    hint: 'install util-linux (unshare, nsenter), or run the command as root',
  });
