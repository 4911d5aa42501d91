import { constants } from 'node:os';
import koffi from 'koffi';

/**
 * The C library calls that Node has no API for: the only place that knows the FFI library.
 *
 * Every call is synchronous and runs on the calling thread, which setns() and unshare() depend on. Every failure throws `Errno`.
 */

/** A system call failed: its name, the errno as number and as symbol. */
export class Errno extends Error {
  override readonly name = 'Errno';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    super(`${syscall}: ${strerror(errno)} (${codeOf(errno)})`);
    this.code = codeOf(errno);
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** <sched.h> */
const CLONE_NEWNET = 0x40000000;
/** <sys/mount.h> */
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_SHARED = 0x100000;
export const MNT_DETACH = 2;
/** <bits/socket.h>, the same on every Linux that Node runs on. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0x80000;
export const SOCK_NONBLOCK = 0x800;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_RCVBUFFORCE = 33;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const MSG_TRUNC = 0x20;

type Call = (...args: readonly (number | string | Buffer | null)[]) => number;

const libc = koffi.load(null);
const bind = (declaration: string): Call => libc.func(declaration) as Call;

const c = {
  socket: bind('int socket(int, int, int)'),
  bind: bind('int bind(int, void *, uint32_t)'),
  send: bind('int64_t send(int, void *, size_t, int)'),
  sendmsg: bind('int64_t sendmsg(int, void *, int)'),
  shutdown: bind('int shutdown(int, int)'),
  fcntl: bind('int fcntl(int, int, int)'),
  syscall: bind('long syscall(long, long, long)'),
  sendto: bind('int64_t sendto(int, void *, size_t, int, void *, uint32_t)'),
  recv: bind('int64_t recv(int, void *, size_t, int)'),
  setsockopt: bind('int setsockopt(int, int, int, void *, uint32_t)'),
  recvmsg: bind('int64_t recvmsg(int, void *, int)'),
  getsockopt: bind('int getsockopt(int, int, int, void *, void *)'),
  socketpair: bind('int socketpair(int, int, int, void *)'),
  close: bind('int close(int)'),
  setns: bind('int setns(int, int)'),
  unshare: bind('int unshare(int)'),
  mount: bind('int mount(const char *, const char *, const char *, unsigned long, void *)'),
  umount2: bind('int umount2(const char *, int)'),
  ioctl: bind('int ioctl(int, unsigned long, void *)'),
  strerror: libc.func('const char *strerror(int)') as (errno: number) => string,
};

/** The C library's text for an errno: 17 is `File exists`. */
export const strerror = (errno: number): string => c.strerror(errno);

const codes = new Map(Object.entries(constants.errno).map(([code, errno]) => [errno, code]));

/** The symbol of an errno: 17 is `EEXIST`. Of two symbols with one number (EAGAIN, EWOULDBLOCK) the first. */
export const codeOf = (errno: number): string =>
  errno === constants.errno.EAGAIN ? 'EAGAIN' : (codes.get(errno) ?? `errno ${errno}`);

/** `socket(2)` */
export const socket = (domain: number, type: number, protocol: number): number =>
  check('socket', c.socket(domain, type, protocol));

/** `bind(2)` to an encoded socket address. */
export const bindSocket = (fd: number, address: Buffer): void =>
  void check('bind', c.bind(fd, address, address.length));

/** `send(2)` */
export const send = (fd: number, data: Buffer, flags = 0): number =>
  check('send', c.send(fd, data, data.length, flags));

/** `sendto(2)` an encoded socket address. */
export const sendTo = (fd: number, data: Buffer, address: Buffer): number =>
  check('sendto', c.sendto(fd, data, data.length, 0, address, address.length));

/** `recv(2)`: how many bytes arrived, which with MSG_TRUNC may be more than the buffer holds. */
export const receive = (fd: number, into: Buffer, flags: number): number =>
  check('recv', c.recv(fd, into, into.length, flags));

/** What one recvmsg(2) brought: lengths of data and of ancillary data in the buffers given. */
export interface Received {
  readonly length: number;
  readonly controlLength: number;
}

/** struct msghdr of a 64-bit system around two buffers. It holds bare addresses: whatever they point to has to live as long. */
function messageHeader(data: Buffer, control: Buffer) {
  const iovec = Buffer.alloc(16);
  iovec.writeBigUInt64LE(koffi.address(data), 0);
  iovec.writeBigUInt64LE(BigInt(data.length), 8);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(koffi.address(iovec), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(koffi.address(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  return { header, kept: { data, control, iovec } };
}

/** Makes `recvmsg(2)` into two buffers that stay where they are, data and ancillary data. Undefined: there is nothing now (EAGAIN). */
export function messageReceiver(
  data: Buffer,
  control: Buffer,
): (fd: number, flags: number) => Received | undefined {
  const { header, kept } = messageHeader(data, control);
  return (fd, flags) => {
    // Named here, or it would be collected.
    header.writeBigUInt64LE(BigInt(kept.control.length), 40);
    const length = c.recvmsg(fd, header, flags);
    if (length < 0 && koffi.errno() === constants.errno.EAGAIN) return undefined;
    check('recvmsg', length);
    return { length, controlLength: Number(header.readBigUInt64LE(40)) };
  };
}

/** `sendmsg(2)` of data with ancillary data. */
export function sendMessage(fd: number, data: Buffer, control: Buffer, flags: number): number {
  const { header, kept } = messageHeader(data, control);
  const sent = check('sendmsg', c.sendmsg(fd, header, flags));
  return Math.min(sent, kept.data.length);
}

/** `shutdown(2)` of the sending side. */
export const shutdownSend = (fd: number): void => void check('shutdown', c.shutdown(fd, 1));

/** `fcntl(2)` F_DUPFD_CLOEXEC: another descriptor of the same file, which programs we start do not get. */
export const duplicate = (fd: number): number => check('fcntl', c.fcntl(fd, 1030, 0));

/** `pidfd_open(2)`, whose number is the same on every architecture since Linux 5.3. */
export const openPidfd = (pid: number): number => check('pidfd_open', c.syscall(434, pid, 0));

const nothing = (): void => undefined;
const NEEDS_TURN = Number.parseInt(process.versions.node) >= 26;

/** What a descriptor is watched for. */
export interface Interest {
  readonly readable?: boolean;
  readonly writable?: boolean;
}

/** A watched descriptor. Keep it: the watch ends when it is collected. */
export interface Watch {
  /** Watches for something else from now on. */
  set(interest: Interest): void;
  close(): void;
}

/**
 * Calls `onReady` on this thread's event loop whenever a descriptor is ready; see {@link watchReadable}. It is called at once, since a
 * connection lives on it; the turn after it is what Node 26 needs.
 */
export function watch(fd: number, interest: Interest, onReady: () => void): Watch {
  const ready = (): void => {
    onReady();
    if (NEEDS_TURN) setImmediate(nothing);
  };
  const handle = koffi.node.poll(fd, interest, ready);
  handle.unref();
  return {
    set: (now) => {
      if (now.readable === true || now.writable === true) handle.start(now, ready);
      else handle.stop();
    },
    close: () => handle.close(),
  };
}

/**
 * Calls `onReadable` on this thread's event loop whenever a descriptor can be read, and does not keep the process running. Keep the
 * answer: the handle closes when it is collected. Node 26 runs no promise after such a callback until something else happens, so
 * `onReadable` runs in a turn of its own.
 */
export function watchReadable(fd: number, onReadable: () => void): { close(): void } {
  const handle = koffi.node.poll(fd, { readable: true }, () => void setImmediate(onReadable));
  handle.unref();
  return handle;
}

/** Filled and read within one call. */
const int = Buffer.alloc(4);

/** `setsockopt(2)` with an int, or with an encoded structure. */
export function setSocketOption(
  fd: number,
  level: number,
  option: number,
  value: number | Buffer,
): void {
  if (typeof value === 'number') int.writeInt32LE(value);
  const data = typeof value === 'number' ? int : value;
  check('setsockopt', c.setsockopt(fd, level, option, data, data.length));
}

/** `getsockopt(2)` of an int. */
export const getSocketOption = (fd: number, level: number, option: number): number =>
  getSocketData(fd, level, option, 4).readInt32LE(0);

/** `getsockopt(2)` of an encoded structure of so many bytes. */
export function getSocketData(fd: number, level: number, option: number, bytes: number): Buffer {
  const [value, length] = [Buffer.alloc(bytes), Buffer.from([bytes, 0, 0, 0])];
  check('getsockopt', c.getsockopt(fd, level, option, value, length));
  return value;
}

/** `socketpair(2)` */
export function socketPair(domain: number, type: number): [number, number] {
  const fds = Buffer.alloc(8);
  check('socketpair', c.socketpair(domain, type, 0, fds));
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** `close(2)` */
export const close = (fd: number): void => void check('close', c.close(fd));

/** `setns(2)` of the calling thread into the network namespace of a descriptor. */
export const setNetns = (fd: number): void => void check('setns', c.setns(fd, CLONE_NEWNET));

/** `unshare(2)`: the calling thread gets a new, empty network namespace. */
export const unshareNetns = (): void => void check('unshare', c.unshare(CLONE_NEWNET));

/** `mount(2)` without data. */
export const mount = (source: string, target: string, type: string, flags: number): void =>
  void check('mount', c.mount(source, target, type, flags, null));

/** `umount2(2)` */
export const unmount = (target: string, flags: number): void =>
  void check('umount2', c.umount2(target, flags));

/** `ioctl(2)` with an encoded structure, or without. */
export const ioctl = (fd: number, request: number, argument: Buffer | null): number =>
  check('ioctl', c.ioctl(fd, request, argument));

/** <linux/bpf.h> union bpf_attr of BPF_PROG_LOAD, as far as we fill it: the kernel takes what is left out as 0. */
const ProgramLoad = koffi.struct({
  prog_type: 'uint32_t',
  insn_cnt: 'uint32_t',
  insns: 'void *',
  license: 'const char *',
  log_level: 'uint32_t',
  log_size: 'uint32_t',
  log_buf: 'void *',
});
/** <asm/unistd.h>, by `process.arch`. */
const SYS_BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const BPF_PROG_LOAD = 5;
const INSTRUCTION_BYTES = 8;
const VERIFIER_LOG_BYTES = 4096;

/**
 * `bpf(2)` BPF_PROG_LOAD: a descriptor of the program. Where the verifier refuses it, the error's cause has what it said.
 * @throws Errno EPERM without CAP_BPF and CAP_NET_ADMIN, ENOSYS where the kernel has none, EINVAL and EACCES from the verifier
 */
export function loadProgram(type: number, instructions: Buffer, license: string): number {
  const log = Buffer.alloc(VERIFIER_LOG_BYTES);
  const attr = {
    prog_type: type,
    insn_cnt: instructions.length / INSTRUCTION_BYTES,
    insns: instructions,
    license,
    log_level: 1,
    log_size: log.length,
    log_buf: log,
  };
  const bpf = libc.func('syscall', 'long', ['long', 'int', koffi.pointer(ProgramLoad), 'uint32_t']);
  const call = SYS_BPF[process.arch];
  if (call === undefined) throw new Errno('bpf', constants.errno.ENOSYS);
  const fd = bpf(call, BPF_PROG_LOAD, attr, koffi.sizeof(ProgramLoad)) as number;
  if (fd >= 0) return fd;
  const error = new Errno('bpf', koffi.errno());
  error.cause = log.toString('utf8', 0, Math.max(0, log.indexOf(0)));
  throw error;
}

function check(syscall: string, result: number): number {
  if (result < 0) throw new Errno(syscall, koffi.errno());
  return result;
}
