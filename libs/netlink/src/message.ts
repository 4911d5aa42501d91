import { align, attributes, readText, zeros } from './attribute.ts';

/** <linux/netlink.h> */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER = 16;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/**
 * One operation for the kernel, as a value: `body` is the family header with its attributes, `words` says it as an `ip` command
 * for error messages, `ignore` lists the error codes that mean "it is so already".
 */
export interface Request {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
  /** A getter where many are made, as only an error reads them. */
  readonly words: string;
  readonly ignore?: readonly string[];
}

/** One message from the kernel. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly body: Buffer;
}

/** What the kernel answered to a request: errno 0 is success; `detail` is the extended ACK's text, often empty. */
export interface Answer {
  readonly errno: number;
  readonly detail: string;
}

/** A message is not laid out as its type says. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';

  constructor({ type, body }: Message, cause: unknown) {
    super(`netlink message of type ${type} with ${body.length} bytes cannot be read`, { cause });
  }
}

/** Reads the body of a message. @throws MalformedMessage for whatever the reading trips over */
export function reading<T>(message: Message, read: (body: Buffer) => T): T {
  try {
    return read(message.body);
  } catch (error) {
    throw new MalformedMessage(message, error);
  }
}

/** One nlmsghdr with its body, padded. */
export function encodeMessage({ type, flags, seq, body }: Message): Buffer {
  const buffer = zeros(align(HEADER + body.length));
  buffer.writeUInt32LE(HEADER + body.length, 0);
  buffer.writeUInt16LE(type, 4);
  buffer.writeUInt16LE(flags, 6);
  buffer.writeUInt32LE(seq >>> 0, 8);
  buffer.set(body, HEADER);
  return buffer;
}

/** The messages of one datagram. A length that points outside ends the reading, as in the kernel's NLMSG_OK. */
export function decodeMessages(datagram: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + HEADER <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER || at + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      seq: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + HEADER, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Whether the message ends a dump. */
export const isDone = ({ type }: Message): boolean => type === NLMSG_DONE;

/** Reads an ACK, an error, or the end of a dump (which carries an errno too); undefined for a message with data. */
export function decodeAnswer({ type, flags, body }: Message): Answer | undefined {
  if ((type !== NLMSG_ERROR && type !== NLMSG_DONE) || body.length < 4) return undefined;
  const errno = 0 - body.readInt32LE(0);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, detail: '' };
  // An error repeats the refused message unless the kernel was asked to cap it (NETLINK_CAP_ACK); an ACK has its header only.
  const whole = errno !== 0 && (flags & NLM_F_CAPPED) === 0 && body.length >= 8;
  const repeated = type === NLMSG_DONE ? 0 : whole ? align(body.readUInt32LE(4)) : HEADER;
  return {
    errno,
    detail: readText(attributes(body.subarray(4 + repeated)).get(NLMSGERR_ATTR_MSG)) ?? '',
  };
}
