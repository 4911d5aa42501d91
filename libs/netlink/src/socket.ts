import {
  type Answer,
  decodeAnswer,
  decodeMessages,
  encodeMessage,
  isDone,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  type Request,
} from './message.ts';
import { inNetns, type Netns } from './netns.ts';
import * as sys from './sys.ts';

const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** The kernel answers while it runs the request, so a missing answer is a defect; this only keeps a thread from hanging on it. */
const RECEIVE_TIMEOUT_S = 10;
/** Dumps come in datagrams of up to 32 KiB (netlink_recvmsg allocates what the reader offers, within limits). */
const RECEIVE_BYTES = 64 * 1024;
/** Scratch space: filled and copied out of within one synchronous call, and too large to make for every socket. */
const scratch = Buffer.alloc(RECEIVE_BYTES);
/** Room for the errors of a large batch, which the kernel would otherwise drop with ENOBUFS. */
const SOCKET_BUFFER_BYTES = 1024 * 1024;
const DUMP_ATTEMPTS = 5;

/** The kernel refused an operation. `operation` says it in `ip` words, `detail` is the kernel's own explanation, if it gave one. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly code: string;
  readonly errno: number;
  readonly operation: string;
  readonly detail: string;

  constructor(operation: string, { errno, detail }: Answer) {
    const code = sys.codeOf(errno);
    super(`${operation}: ${sys.strerror(errno)} (${code})${detail === '' ? '' : `: ${detail}`}`);
    this.code = code;
    this.errno = errno;
    this.operation = operation;
    this.detail = detail;
  }
}

/** A socket to the routing part of one network namespace's kernel state (rtnetlink(7)). It keeps that namespace alive: close it soon. */
export interface Rtnetlink {
  /**
   * Runs requests in order with one send(2). The kernel goes on after an error, so this is no transaction.
   * @throws NetlinkError for the first request refused with a code it does not ignore, after all have run.
   */
  request(requests: readonly Request[]): void;
  /**
   * Everything the kernel has of one kind; nothing when it is refused with a code the request ignores. Repeated when the state
   * changed meanwhile. @throws NetlinkError
   */
  dump(request: Request): Message[];
  /** The one message that answers a get; undefined when it is refused with a code the request ignores. @throws NetlinkError */
  get(request: Request): Message | undefined;
  close(): void;
}

/** Opens a socket in the namespace given, or in the thread's own. @throws Errno */
export const openRtnetlink = (netns?: Netns): Rtnetlink => openNetlink(NETLINK_ROUTE, netns);

/** The same for another part of the kernel: a NETLINK_* number of <linux/netlink.h>. @throws Errno */
export function openNetlink(protocol: number, netns?: Netns): Rtnetlink {
  const open = (): number => openSocket(protocol);
  const fd = netns === undefined ? open() : inNetns(netns, open);
  let seq = 0;

  const receive = (request: Request): Message[] => {
    const length = receiveInto(fd, request);
    return decodeMessages(Buffer.from(scratch.subarray(0, length)));
  };
  const sendAll = (requests: readonly Request[], flagsOf: (index: number) => number): number => {
    const first = seq + 1;
    const messages = requests.map(({ type, flags, body }, i) =>
      encodeMessage({ type, flags: flags | flagsOf(i) | NLM_F_REQUEST, seq: first + i, body }),
    );
    seq += requests.length;
    sys.send(fd, messages.length === 1 && messages[0] ? messages[0] : Buffer.concat(messages));
    return first;
  };
  const dumpOnce = (request: Request): Message[] | undefined => {
    const id = sendAll([request], () => NLM_F_DUMP);
    const messages: Message[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of receive(request).filter((reply) => reply.seq === id)) {
        interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
        const answer = decodeAnswer(message);
        if (answer !== undefined && answer.errno > 0) {
          if (request.ignore?.includes(sys.codeOf(answer.errno)) === true) return [];
          throw new NetlinkError(request.words, answer);
        }
        if (isDone(message) || answer !== undefined) return interrupted ? undefined : messages;
        messages.push(message);
      }
    }
  };

  return {
    request: (requests) => {
      const final = requests.at(-1);
      if (final === undefined) return;
      const first = sendAll(requests, (i) => (i === requests.length - 1 ? NLM_F_ACK : 0));
      const last = seq;
      let failure: NetlinkError | undefined;
      for (let done = false; !done;) {
        for (const message of receive(final)) {
          const request = requests[message.seq - first];
          const answer = decodeAnswer(message);
          if (request === undefined || answer === undefined) continue;
          if (answer.errno !== 0 && request.ignore?.includes(sys.codeOf(answer.errno)) !== true)
            failure ??= new NetlinkError(request.words, answer);
          done ||= message.seq === last;
        }
      }
      if (failure !== undefined) throw failure;
    },
    dump: (request) => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
        const messages = dumpOnce(request);
        if (messages !== undefined) return messages;
      }
      throw new NetlinkError(request.words, {
        errno: 4,
        detail: 'the state kept changing while it was read',
      });
    },
    get: (request) => {
      const id = sendAll([request], () => 0);
      for (;;) {
        for (const message of receive(request).filter((reply) => reply.seq === id)) {
          const answer = decodeAnswer(message);
          if (answer === undefined) return message;
          if (request.ignore?.includes(sys.codeOf(answer.errno)) === true) return undefined;
          throw new NetlinkError(request.words, answer);
        }
      }
    },
    close: () => sys.close(fd),
  };
}

/** Opens a socket in a namespace for the time of `use`. @throws Errno, and whatever `use` throws */
export function withRtnetlink<T>(netns: Netns | undefined, use: (rtnetlink: Rtnetlink) => T): T {
  const rtnetlink = openRtnetlink(netns);
  try {
    return use(rtnetlink);
  } finally {
    rtnetlink.close();
  }
}

function openSocket(protocol: number): number {
  const fd = sys.socket(sys.AF_NETLINK, sys.SOCK_RAW | sys.SOCK_CLOEXEC, protocol);
  try {
    sys.setSocketOption(fd, sys.SOL_SOCKET, sys.SO_RCVTIMEO, timeval(RECEIVE_TIMEOUT_S));
    sys.setSocketOption(fd, sys.SOL_SOCKET, sys.SO_RCVBUF, SOCKET_BUFFER_BYTES);
    sys.setSocketOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    sys.setSocketOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    sys.setSocketOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** struct timeval of a 64-bit system */
function timeval(seconds: number): Buffer {
  const buffer = Buffer.alloc(16);
  buffer.writeUInt32LE(seconds);
  return buffer;
}

function receiveInto(fd: number, request: Request): number {
  for (;;) {
    try {
      const length = sys.receive(fd, scratch, sys.MSG_TRUNC);
      if (length > scratch.length)
        throw new Error(`${request.words}: answer of ${length} bytes is larger than the buffer`);
      return length;
    } catch (error) {
      if (!(error instanceof sys.Errno)) throw error;
      if (error.code === 'EAGAIN')
        throw new Error(`${request.words}: no answer from the kernel in ${RECEIVE_TIMEOUT_S} s`, {
          cause: error,
        });
      if (error.code !== 'EINTR') throw error;
    }
  }
}
