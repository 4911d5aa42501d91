/**
 * Netlink attributes (<linux/netlink.h> struct nlattr, <linux/rtnetlink.h> struct rtattr): a length and a type of two bytes each,
 * then the payload, padded to four bytes. Numbers are in host order, which is little endian on every platform we build for.
 */

/** A run of attributes. A message has dozens, of which a few are read: they are looked for then. */
export interface Attributes {
  /** The payload of a type. Of one that occurs twice the last counts, as in the kernel's nla_parse. */
  get(type: number): Buffer | undefined;
}

const HEADER = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/**
 * Zeros, out of Node's pool: a wire takes a hundred small buffers, and the memory of each would else be asked of the system and
 * given back by the collector.
 */
export const zeros = (bytes: number): Buffer => Buffer.allocUnsafe(bytes).fill(0);

/** An attribute with a ready payload. */
export function attribute(type: number, payload: Uint8Array): Buffer {
  const buffer = zeros(align(HEADER + payload.length));
  buffer.writeUInt16LE(HEADER + payload.length, 0);
  buffer.writeUInt16LE(type, 2);
  buffer.set(payload, HEADER);
  return buffer;
}

/** An attribute of one byte. */
export const u8 = (type: number, value: number): Buffer => attribute(type, Uint8Array.of(value));

/** An attribute of two bytes. */
export const u16 = (type: number, value: number): Buffer =>
  attribute(type, Uint8Array.of(value & 0xff, value >>> 8));

/** An attribute of two bytes in network order, as ports are. */
export const be16 = (type: number, value: number): Buffer =>
  attribute(type, Uint8Array.of(value >>> 8, value & 0xff));

/** An attribute of four bytes. */
export function u32(type: number, value: number): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + 4);
  buffer.writeUInt16LE(HEADER + 4, 0);
  buffer.writeUInt16LE(type, 2);
  buffer.writeUInt32LE(value >>> 0, HEADER);
  return buffer;
}

/** An attribute of text with its closing NUL. */
export const text = (type: number, value: string): Buffer =>
  attribute(type, Buffer.from(`${value}\0`));

/** An attribute that contains attributes. */
export const nest = (type: number, ...inner: readonly Buffer[]): Buffer =>
  attribute(type | NLA_F_NESTED, Buffer.concat(inner));

/** Reads a run of attributes. A length that points outside ends the reading, as in the kernel's RTA_OK. */
export const attributes = (buffer: Buffer): Attributes => ({
  get: (wanted) => {
    let found: Buffer | undefined;
    for (let at = 0; isAt(buffer, at); at += align(buffer.readUInt16LE(at)))
      if (typeAt(buffer, at) === wanted) found = payloadAt(buffer, at);
    return found;
  },
});

/** All attributes of a run in their order, type and payload: a list has many of one type. */
export function entries(buffer: Buffer): [number, Buffer][] {
  const found: [number, Buffer][] = [];
  for (let at = 0; isAt(buffer, at); at += align(buffer.readUInt16LE(at)))
    found.push([typeAt(buffer, at), payloadAt(buffer, at)]);
  return found;
}

function isAt(buffer: Buffer, at: number): boolean {
  if (at + HEADER > buffer.length) return false;
  const length = buffer.readUInt16LE(at);
  return length >= HEADER && at + length <= buffer.length;
}

const typeAt = (buffer: Buffer, at: number): number => buffer.readUInt16LE(at + 2) & NLA_TYPE_MASK;
const payloadAt = (buffer: Buffer, at: number): Buffer =>
  buffer.subarray(at + HEADER, at + buffer.readUInt16LE(at));

/** The text of an attribute up to its first NUL; undefined when it is absent. */
export function readText(payload: Buffer | undefined): string | undefined {
  if (payload === undefined) return undefined;
  const end = payload.indexOf(0);
  return payload.toString('utf8', 0, end === -1 ? payload.length : end);
}

/** The number of a four-byte attribute; undefined when it is absent or shorter. */
export const readU32 = (payload: Buffer | undefined): number | undefined =>
  payload === undefined || payload.length < 4 ? undefined : payload.readUInt32LE(0);

/** Rounded up to a multiple of four (NLMSG_ALIGN, NLA_ALIGN). */
export const align = (length: number): number => (length + 3) & ~3;
