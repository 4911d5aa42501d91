import {
  type Address,
  addressBits,
  compareAddresses,
  formatAddress,
  parseAddress,
} from './address.ts';

/** An address with the length of its prefix. Host bits may be set: `10.0.0.5/24` is an interface address, `network()` clears them. */
export interface Prefix extends Address {
  readonly length: number;
}

/**
 * Reads `10.0.0.5/24` or `fd00::1/64`, keeping host bits. The length is required. A prefix of IPv4-mapped addresses
 * (`::ffff:10.0.0.0/104`) is read as the IPv4 prefix (`10.0.0.0/8`); one wider than the mapped range is refused.
 * @throws Error with the offending text.
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf('/');
  const digits = text.slice(slash + 1);
  if (slash < 0 || !LENGTH.test(digits)) throw notAPrefix(text);
  let parsed: Address;
  try {
    parsed = parseAddress(text.slice(0, slash));
  } catch (error) {
    throw notAPrefix(text, error);
  }
  const { family, value } = parsed;
  const length = Number(digits) - (family === 4 && text.includes(':') ? 96 : 0);
  if (length < 0 || length > addressBits(family)) throw notAPrefix(text);
  return { family, value, length };
}

const LENGTH = /^(?:0|[1-9][0-9]{0,2})$/;
const notAPrefix = (text: string, cause?: unknown): Error =>
  new Error(`not an IP prefix: ${JSON.stringify(text)}`, { cause });

/** Canonical text `address/length`, host bits as they are. */
export const formatPrefix = (prefix: Prefix): string => `${formatAddress(prefix)}/${prefix.length}`;

/** The /32 or /128 of one address. */
export const hostPrefix = ({ family, value }: Address): Prefix => ({
  family,
  value,
  length: addressBits(family),
});

/** The prefix with its host bits cleared. */
export const network = ({ family, value, length }: Prefix): Prefix => ({
  family,
  value: value & ~hostMask({ family, length }),
  length,
});

/** The lowest address of a prefix. */
export const firstAddress = ({ family, ...rest }: Prefix): Address => ({
  family,
  value: network({ family, ...rest }).value,
});

/** The highest address of a prefix; for IPv4 shorter than /31 that is the broadcast address. */
export const lastAddress = (prefix: Prefix): Address => ({
  family: prefix.family,
  value: prefix.value | hostMask(prefix),
});

/** Whether the address lies inside the prefix. Different families never do. */
export const contains = (prefix: Prefix, address: Address): boolean =>
  prefix.family === address.family &&
  (prefix.value | hostMask(prefix)) === (address.value | hostMask(prefix));

/** Whether two prefixes share an address; then one contains the other. */
export const overlaps = (a: Prefix, b: Prefix): boolean =>
  a.length <= b.length ? contains(a, b) : contains(b, a);

/** Sort order: by address, then shorter prefix first. Negative, zero or positive. */
export const comparePrefixes = (a: Prefix, b: Prefix): number =>
  compareAddresses(a, b) || a.length - b.length;

const hostMask = ({ family, length }: Omit<Prefix, 'value'>): bigint =>
  (1n << BigInt(addressBits(family) - length)) - 1n;
