import { openSync, readFileSync, statSync } from 'node:fs';
import { inNetns } from './netns.ts';
import * as sys from './sys.ts';

/** <asm-generic/socket.h> */
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
/** struct ucred: pid, uid, gid. */
const UCRED_BYTES = 12;
/** <linux/pidfd.h> PIDFD_GET_NETWORK_NAMESPACE, since Linux 6.11. */
const GET_NETNS = 0xff04;
/** The unit of times in /proc/PID/stat, on every architecture that Node runs on. */
const TICKS_PER_S = 100;

/** How to tell the process at the other end of a unix socket. */
export interface PeerOptions {
  /** Seconds since boot, not before the connection was made: a process that began later is another one with its number. */
  readonly before?: number;
  /** How its process is opened. `credentials` is for kernels before 6.5. @default pidfd, else credentials */
  readonly by?: 'pidfd' | 'credentials';
}

/**
 * Opens the network namespace of the process that made a connection (of the one that listens, on the other side of it). The caller
 * closes it. Through a pidfd that the kernel took when the connection was made, there is no race and no need to see the process.
 * @throws Errno ESRCH when the process is gone or cannot be told, EPERM and EACCES without CAP_SYS_PTRACE over it
 */
export function peerNetns(socket: number, options: PeerOptions = {}): number {
  const pidfd =
    options.by === 'credentials' ? byCredentials(socket, options) : byPidfd(socket, options);
  try {
    return netnsOfProcess(pidfd);
  } finally {
    sys.close(pidfd);
  }
}

function byPidfd(socket: number, options: PeerOptions): number {
  try {
    return sys.getSocketOption(socket, sys.SOL_SOCKET, SO_PEERPIDFD);
  } catch (error) {
    // A kernel before 6.5 does not know the option.
    if (options.by !== 'pidfd' && isErrno(error, 'ENOPROTOOPT'))
      return byCredentials(socket, options);
    throw error;
  }
}

/** By its number, which may have come to mean another process: that must be the same user's, and not younger than the connection. */
function byCredentials(socket: number, { before = Infinity }: PeerOptions): number {
  const credentials = sys.getSocketData(socket, sys.SOL_SOCKET, SO_PEERCRED, UCRED_BYTES);
  const [pid, uid] = [credentials.readInt32LE(0), credentials.readUInt32LE(4)];
  // It lives in a pid namespace that we cannot see.
  if (pid === 0) throw new sys.Errno('pidfd_open', ESRCH);
  const pidfd = sys.openPidfd(pid);
  try {
    if (statSync(`/proc/${pid}`).uid === uid && startedAt(pid) <= before) return pidfd;
    throw new sys.Errno('pidfd_open', ESRCH);
  } catch (error) {
    sys.close(pidfd);
    throw error;
  }
}

const ESRCH = 3;

/** Seconds since boot (proc(5), stat: field 22; the name before it may hold anything). */
function startedAt(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[19]) / TICKS_PER_S;
}

function netnsOfProcess(pidfd: number): number {
  try {
    return sys.ioctl(pidfd, GET_NETNS, null);
  } catch (error) {
    // Before 6.11 there is a way round: go there and look.
    if (!isErrno(error, 'ENOTTY') && !isErrno(error, 'EINVAL')) throw error;
    return inNetns(pidfd, () => openSync('/proc/thread-self/ns/net', 'r'));
  }
}

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof sys.Errno && error.code === code;
