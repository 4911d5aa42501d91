import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, parseAddress } from '@nsm/ip';
import { decodeEcho, encodeEcho, filterFor, socketAddress } from './icmp.ts';
import { inNetns, type Netns } from './netns.ts';
import * as sys from './sys.ts';

/** What to ask whom, and from where. */
export interface PingOptions {
  /** Where the packets start; the thread's own namespace when absent. */
  readonly netns?: Netns;
  /** Source address; the kernel chooses when absent. */
  readonly src?: string;
  readonly dst: string;
  /** @default 1 */
  readonly count?: number;
  /** Ends with the first answer, and with the first request that cannot be sent or is refused on its way. @default false */
  readonly decide?: boolean;
  /** Between two requests. @default 200 */
  readonly intervalMs?: number;
  /** How long the last request may wait for its answer. @default 1000 */
  readonly timeoutMs?: number;
  /** Bytes of payload; 28 (IPv4) or 48 (IPv6) more are on the wire. @default 56 */
  readonly size?: number;
  /** Refuse to fragment: a request larger than the path's MTU is an error. @default false */
  readonly dontFragment?: boolean;
}

/** What came of it. */
export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Of the requests that were answered, in the order of the answers. */
  readonly rttMs: readonly number[];
  /** Requests that could not be sent, and errors that routers sent back. */
  readonly errors: readonly string[];
}

const SOL_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
const SOL_IPV6 = 41;
const PMTUDISC_DO = 2;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const MAX_PACKET = 65535;

/**
 * ICMP echo (`ping`) out of a namespace, with a socket that lives as long as the call: one kept open would keep the namespace of a dead
 * pod alive, and such a namespace still answers. Needs CAP_NET_RAW there, or a group that net.ipv4.ping_group_range lets ping, which
 * is not told of errors. Never throws for a destination that does not answer.
 * @throws Error for a bad address, Errno when no socket can be made, the signal's reason when aborted
 */
export async function ping(options: PingOptions, signal?: AbortSignal): Promise<PingResult> {
  const { netns, dst, count = 1, intervalMs = 200, timeoutMs = 1000, size = 56 } = options;
  const { decide = false } = options;
  const to = parseAddress(dst);
  signal?.throwIfAborted();
  const open = (): EchoSocket => openSocket(to.family, options);
  const { fd, raw } = netns === undefined ? open() : inNetns(netns, open);
  const id = randomInt(0x10000);
  const sentAt = new Map<number, number>();
  const rttMs: number[] = [];
  const errors: string[] = [];
  let sent = 0;
  const isDecided = (): boolean => decide && rttMs.length + errors.length > 0;
  const drain = (): void => {
    for (let datagram = receive(fd); datagram !== undefined; datagram = receive(fd)) {
      const echo = decodeEcho(to.family, datagram, raw && to.family === 4);
      // Without privileges the kernel chooses the id, and hands out nothing but our answers.
      const at = !raw || echo?.id === id ? sentAt.get(echo?.seq ?? 0) : undefined;
      if (echo === undefined || at === undefined) continue;
      sentAt.delete(echo.seq);
      if (echo.error === undefined) rttMs.push(performance.now() - at);
      else errors.push(`seq ${echo.seq}: ${echo.error}`);
    }
  };
  const waitUntil = async (end: number, done: () => boolean): Promise<void> => {
    for (let pause = 0; ; pause = Math.min(pause + 1, 10)) {
      drain();
      const left = end - performance.now();
      if (left <= 0 || done()) return;
      // Answers over a wire of the same machine are there at once, so look often at first.
      await sleep(Math.min(pause, left), undefined, signal === undefined ? {} : { signal });
    }
  };
  try {
    for (let seq = 1; seq <= count && !isDecided(); seq += 1) {
      const start = performance.now();
      const problem = sendEcho(fd, to, encodeEcho(to.family, { id, seq }, size));
      if (problem === undefined) sentAt.set(seq, start);
      else errors.push(`seq ${seq}: ${problem}`);
      sent = seq;
      const last = seq === count;
      const isOver = (): boolean => isDecided() || (last && sentAt.size === 0);
      await waitUntil(start + (last ? timeoutMs : intervalMs), isOver);
    }
    return { sent, received: rttMs.length, rttMs, errors };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    sys.close(fd);
  }
}

interface EchoSocket {
  readonly fd: number;
  /** Of the privileged kind. */
  readonly raw: boolean;
}

function openSocket(family: 4 | 6, options: PingOptions): EchoSocket {
  try {
    return { fd: openOf(sys.SOCK_RAW, family, options), raw: true };
  } catch (error) {
    if (!(error instanceof sys.Errno) || error.code !== 'EPERM') throw error;
    return { fd: openOf(sys.SOCK_DGRAM, family, options), raw: false };
  }
}

function openOf(type: number, family: 4 | 6, { src, dontFragment }: PingOptions): number {
  const [domain, protocol] =
    family === 4 ? [sys.AF_INET, IPPROTO_ICMP] : [sys.AF_INET6, IPPROTO_ICMPV6];
  const fd = sys.socket(domain, type | sys.SOCK_CLOEXEC | sys.SOCK_NONBLOCK, protocol);
  try {
    if (type === sys.SOCK_RAW)
      sys.setSocketOption(
        fd,
        family === 4 ? SOL_RAW : IPPROTO_ICMPV6,
        ICMP_FILTER,
        filterFor(family),
      );
    if (dontFragment === true && family === 4)
      sys.setSocketOption(fd, SOL_IP, IP_MTU_DISCOVER, PMTUDISC_DO);
    if (dontFragment === true && family === 6) {
      sys.setSocketOption(fd, SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO);
      sys.setSocketOption(fd, SOL_IPV6, IPV6_DONTFRAG, 1);
    }
    if (src !== undefined) sys.bindSocket(fd, socketAddress(parseAddress(src)));
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** What the system says when it does not send, as ENETUNREACH or EMSGSIZE; undefined when it did. */
function sendEcho(fd: number, to: Address, packet: Buffer): string | undefined {
  try {
    sys.sendTo(fd, packet, socketAddress(to));
    return undefined;
  } catch (error) {
    if (error instanceof sys.Errno) return error.message;
    throw error;
  }
}

const inbox = Buffer.alloc(MAX_PACKET);

/** The next datagram, valid until the next call; undefined when none waits. Errors the socket reports are of requests gone before. */
function receive(fd: number): Buffer | undefined {
  try {
    return inbox.subarray(0, sys.receive(fd, inbox, sys.MSG_DONTWAIT));
  } catch (error) {
    if (error instanceof sys.Errno) return undefined;
    throw error;
  }
}
