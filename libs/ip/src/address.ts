/** One IP address. `value` is the address as an unsigned number, most significant byte first on the wire. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** Bits of an address of this family: 32 or 128. */
export const addressBits = (family: 4 | 6): 32 | 128 => (family === 4 ? 32 : 128);

/**
 * Reads `10.0.0.1` or `fd00::1`.
 *
 * IPv4 is four decimal octets without leading zeros; IPv6 is RFC 4291 section 2.2 without a zone. An IPv4-mapped address
 * (`::ffff:10.0.0.1`) is read as the IPv4 address, because Go's net.ParseIP, which wrote most of what we read, does so.
 * @throws Error with the offending text.
 */
export function parseAddress(text: string): Address {
  const value = text.includes(':') ? parse6(text) : parse4(text);
  if (value === undefined) throw new Error(`not an IP address: ${JSON.stringify(text)}`);
  if (!text.includes(':')) return { family: 4, value };
  return value >> 32n === 0xffffn
    ? { family: 4, value: value & 0xffffffffn }
    : { family: 6, value };
}

/** The canonical text: dotted decimal, or RFC 5952 (lower case, the first longest run of zeros as `::`). */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) {
    const bits = Number(value);
    return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
  }
  const digits = hexOf({ family, value });
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number.parseInt(digits.slice(4 * i, 4 * i + 4), 16),
  );
  const gap = longestZeros(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (gap.length < 2) return hex(groups);
  return `${hex(groups.slice(0, gap.start))}::${hex(groups.slice(gap.start + gap.length))}`;
}

/** The 4 or 16 bytes of an address in network order. */
export const addressBytes = (address: Address): Uint8Array => Buffer.from(hexOf(address), 'hex');

/** The address in 4 or 16 bytes in network order. Unlike text, mapped IPv4 stays IPv6 here. @throws Error for any other length. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new Error(`not the bytes of an IP address: ${bytes.length} of them`);
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** Sort order: IPv4 before IPv6, then by number. Negative, zero or positive. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value === b.value ? 0 : a.value < b.value ? -1 : 1;
}

function parse4(text: string): bigint | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let value = 0;
  for (const octet of octets) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    value = 256 * value + Number(octet);
  }
  return BigInt(value);
}

function parse6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, i) => groupsOf(half, i === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  if (tail === undefined) return head.length === 8 ? join(head) : undefined;
  // "::" stands for at least one group (RFC 4291 2.2).
  const zeros = 8 - head.length - tail.length;
  return zeros < 1 ? undefined : join([...head, ...new Array<string>(zeros).fill('0000'), ...tail]);
}

/** The four digits of each group. `dotted`: the half may end in an IPv4 address. */
function groupsOf(half: string, dotted: boolean): string[] | undefined {
  if (half === '') return [];
  const parts = half.split(':');
  const four = dotted && parts.at(-1)?.includes('.') === true ? parse4(parts.pop() ?? '') : null;
  if (four === undefined || !parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part)))
    return undefined;
  const groups = parts.map((part) => part.padStart(4, '0'));
  if (four === null) return groups;
  const digits = hexOf({ family: 4, value: four });
  return [...groups, digits.slice(0, 4), digits.slice(4)];
}

/** One conversion of all digits: arithmetic on bigints makes a new one at each step. */
const join = (groups: readonly string[]): bigint => BigInt(`0x${groups.join('')}`);

const hexOf = ({ family, value }: Address): string =>
  value.toString(16).padStart(addressBits(family) / 4, '0');

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}
