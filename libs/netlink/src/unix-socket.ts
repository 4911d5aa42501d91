import * as sys from './sys.ts';

/** <bits/socket.h> */
const SCM_RIGHTS = 1;
/** struct cmsghdr of a 64-bit system: length, level, type. */
const CMSG_HEADER = 16;
const INT = 4;
/** As many descriptors are taken with one read (contract 4.9). */
const MAX_DESCRIPTORS = 64;
const READ_BYTES = 64 * 1_024;

/** What a read brought. */
export interface Arrival {
  /** Empty: the other side has ended. */
  readonly data: Buffer;
  /** The reader owns them. */
  readonly descriptors: readonly number[];
  /** More may be there already: the buffer was full, or descriptors ended the read. */
  readonly full: boolean;
}

/**
 * Makes a reader of unix stream sockets that keeps the descriptors which come with the bytes: any other read loses them. One serves
 * all sockets of a thread. It answers undefined when there is nothing to read.
 * @throws Errno
 */
export function unixReader(): (fd: number) => Arrival | undefined {
  const data = Buffer.alloc(READ_BYTES);
  const control = Buffer.alloc(CMSG_HEADER + MAX_DESCRIPTORS * INT);
  const receive = sys.messageReceiver(data, control);
  return (fd) => {
    const received = receive(fd, sys.MSG_DONTWAIT | sys.MSG_CMSG_CLOEXEC);
    if (received === undefined) return undefined;
    const { length, controlLength } = received;
    return {
      data: Buffer.from(data.subarray(0, length)),
      descriptors:
        controlLength === 0 ? [] : [...descriptorsIn(control.subarray(0, controlLength))],
      full: length === data.length || controlLength > 0,
    };
  };
}

function* descriptorsIn(control: Buffer): Generator<number> {
  for (let at = 0; at + CMSG_HEADER <= control.length;) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < CMSG_HEADER) return;
    const end = Math.min(at + length, control.length);
    if (
      control.readInt32LE(at + 8) === sys.SOL_SOCKET &&
      control.readInt32LE(at + 12) === SCM_RIGHTS
    )
      for (let fd = at + CMSG_HEADER; fd + INT <= end; fd += INT) yield control.readInt32LE(fd);
    at += Math.ceil(length / 8) * 8;
  }
}

/**
 * Writes what a unix stream socket takes now, with a descriptor beside the first byte; answers how many bytes were taken, 0 when the
 * socket is full. @throws Errno
 */
export function unixWrite(fd: number, data: Buffer, descriptor?: number): number {
  const flags = sys.MSG_DONTWAIT | sys.MSG_NOSIGNAL;
  try {
    if (descriptor === undefined) return sys.send(fd, data, flags);
    const control = Buffer.alloc(CMSG_HEADER + 8);
    control.writeBigUInt64LE(BigInt(CMSG_HEADER + INT), 0);
    control.writeInt32LE(sys.SOL_SOCKET, 8);
    control.writeInt32LE(SCM_RIGHTS, 12);
    control.writeInt32LE(descriptor, CMSG_HEADER);
    return sys.sendMessage(fd, data.subarray(0, 1), control, flags);
  } catch (error) {
    if (isAgain(error)) return 0;
    throw error;
  }
}

/** Another descriptor of the same file, closed in programs that are started. @throws Errno */
export const duplicate = (fd: number): number => sys.duplicate(fd);

/** Ends the sending side of a socket. @throws Errno */
export const endWrites = (fd: number): void => sys.shutdownSend(fd);

/** Calls back whenever a descriptor is ready for what it is watched for. */
export const watchDescriptor = (
  fd: number,
  interest: sys.Interest,
  onReady: () => void,
): sys.Watch => sys.watch(fd, interest, onReady);

const isAgain = (error: unknown): boolean => error instanceof sys.Errno && error.code === 'EAGAIN';
