import { type Address, addressBytes } from '@nsm/ip';
import { AF_INET, AF_INET6 } from './sys.ts';

/** ICMP (RFC 792) and ICMPv6 (RFC 4443) echo messages, and the structures a raw socket wants with them. */

const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
const UNREACHABLE = { 4: [3, 11], 6: [1, 2, 3] } as const;
const HEADER = 8;

/** What an echo carries besides its padding. */
export interface Echo {
  readonly id: number;
  readonly seq: number;
}

/** An echo request with `size` bytes of payload. The kernel computes the checksum of ICMPv6, which covers addresses. */
export function encodeEcho(family: 4 | 6, { id, seq }: Echo, size: number): Buffer {
  const packet = Buffer.alloc(HEADER + size, 0x6e);
  packet.writeUInt8(ECHO[family].request, 0);
  packet.writeUInt8(0, 1);
  packet.writeUInt16BE(0, 2);
  packet.writeUInt16BE(id, 4);
  packet.writeUInt16BE(seq, 6);
  if (family === 4) packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

/**
 * What a raw socket received: an answer to one of our requests, or an error about one; undefined for anything else. `headed`: an IPv4
 * header comes first, as a raw IPv4 socket has it, and no other one.
 */
export function decodeEcho(
  family: 4 | 6,
  datagram: Buffer,
  headed = family === 4,
): (Echo & { readonly error?: string }) | undefined {
  const icmp = headed ? withoutHeader(datagram) : datagram;
  if (icmp.length < HEADER) return undefined;
  const [type, code] = [icmp.readUInt8(0), icmp.readUInt8(1)];
  if (type === ECHO[family].reply) return echoOf(icmp);
  if (!(UNREACHABLE[family] as readonly number[]).includes(type)) return undefined;
  // The error repeats the packet it is about, with its IP header.
  const original = icmp.subarray(HEADER);
  const request = family === 4 ? withoutHeader(original) : original.subarray(40);
  if (request.length < HEADER || request.readUInt8(0) !== ECHO[family].request) return undefined;
  return { ...echoOf(request), error: describe(family, type, code) };
}

/** The socket option that lets only answers and errors through: ICMP_FILTER and ICMPV6_FILTER block the types whose bit is set. */
export function filterFor(family: 4 | 6): Buffer {
  const bits = new Uint32Array(family === 4 ? 1 : 8).fill(0xffffffff);
  for (const type of [ECHO[family].reply, ...UNREACHABLE[family]]) {
    const word = type >>> 5;
    bits[word] = (bits[word] ?? 0) & ~(1 << (type & 31));
  }
  return Buffer.from(bits.buffer);
}

/** struct sockaddr_in or sockaddr_in6, without port and scope. */
export function socketAddress(address: Address): Buffer {
  const buffer = Buffer.alloc(address.family === 4 ? 16 : 28);
  buffer.writeUInt16LE(address.family === 4 ? AF_INET : AF_INET6, 0);
  buffer.set(addressBytes(address), address.family === 4 ? 4 : 8);
  return buffer;
}

/** RFC 1071 */
function checksum(packet: Buffer): number {
  let sum = 0;
  for (let i = 0; i < packet.length; i += 2)
    sum += i + 1 < packet.length ? packet.readUInt16BE(i) : packet.readUInt8(i) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const withoutHeader = (packet: Buffer): Buffer =>
  packet.length === 0 ? packet : packet.subarray((packet.readUInt8(0) & 0x0f) * 4);

const echoOf = (icmp: Buffer): Echo => ({ id: icmp.readUInt16BE(4), seq: icmp.readUInt16BE(6) });

function describe(family: 4 | 6, type: number, code: number): string {
  if (type === (family === 4 ? 11 : 3)) return 'time to live exceeded';
  if ((family === 4 && type === 3 && code === 4) || (family === 6 && type === 2))
    return 'packet too big';
  return `destination unreachable (code ${code})`;
}
