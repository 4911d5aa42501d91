import { type Address, compareAddresses } from './address.ts';
import { contains, firstAddress, lastAddress, network, type Prefix } from './prefix.ts';
import { indexOf, insert, lowest, type Range, subtract } from './ranges.ts';

/** Two addresses of one prefix for the two ends of a wire: `dst` the endpoint's, `src` the client's. */
export interface AddressPair {
  readonly dst: Address;
  readonly src: Address;
}

/**
 * Addresses to hand out from one or more prefixes. Prefixes are used in the order given; network and broadcast addresses are
 * addresses like any other. The free space is kept as ranges, so a /8 or a /64 costs nothing until it is used.
 */
export interface PrefixPool {
  /** The lowest free address outside the prefixes in `excluded`, now taken; undefined when there is none. */
  take(excluded?: readonly Prefix[]): Address | undefined;
  /**
   * The lowest free address as `dst` and the next free one of the same prefix as `src` (contract 3.15, point2pointipam), both
   * now taken; undefined when no prefix has two left, and then nothing is taken.
   */
  takePair(excluded?: readonly Prefix[]): AddressPair | undefined;
  /** Takes this address if it is free. False: it is taken, excluded, or not of this pool. */
  claim(address: Address): boolean;
  /** Takes both addresses if both are free in the same prefix; otherwise takes neither and answers false. */
  claimPair(pair: AddressPair): boolean;
  /** Gives an address back. False, and no change: it was not taken, or is not of this pool. */
  release(address: Address): boolean;
  /** Whether the pool could ever hand this address out. */
  owns(address: Address): boolean;
  /** How many addresses are free. */
  free(): bigint;
}

interface Segment {
  readonly prefix: Prefix;
  /** What this segment may ever hand out. */
  readonly all: readonly Range[];
  /** What it can hand out now: sorted, disjoint, never touching. */
  readonly free: Range[];
}

/**
 * A pool over `prefixes` (host bits ignored; what an earlier prefix covers belongs to the earlier one) without the addresses in
 * `excluded`. Both may mix families.
 */
export function createPrefixPool(
  prefixes: readonly Prefix[],
  excluded: readonly Prefix[] = [],
): PrefixPool {
  const segments = prefixes.map((prefix, i): Segment => {
    const all = [rangeOf(prefix)];
    for (const taken of [...prefixes.slice(0, i), ...excluded])
      if (taken.family === prefix.family) subtract(all, rangeOf(taken));
    return { prefix: network(prefix), all, free: [...all] };
  });
  const segmentOf = (address: Address): Segment | undefined =>
    segments.find(({ prefix, all }) => contains(prefix, address) && holds(all, address.value));
  const isFree = (address: Address): boolean => {
    const segment = segmentOf(address);
    return segment !== undefined && holds(segment.free, address.value);
  };
  const claim = (address: Address): boolean => {
    const segment = segmentOf(address);
    if (segment === undefined || !holds(segment.free, address.value)) return false;
    subtract(segment.free, { first: address.value, last: address.value });
    return true;
  };

  return {
    claim,
    take: (without = []) => {
      for (const segment of segments) {
        const [address] = lowestOf(segment, without, 1);
        if (address !== undefined && claim(address)) return address;
      }
      return undefined;
    },
    takePair: (without = []) => {
      for (const segment of segments) {
        const [dst, src] = lowestOf(segment, without, 2);
        if (dst !== undefined && src !== undefined && claim(dst) && claim(src)) return { dst, src };
      }
      return undefined;
    },
    claimPair: ({ dst, src }) => {
      const together = segmentOf(dst) === segmentOf(src) && compareAddresses(dst, src) !== 0;
      return together && isFree(dst) && isFree(src) && claim(dst) && claim(src);
    },
    release: (address) => {
      const segment = segmentOf(address);
      if (segment === undefined || holds(segment.free, address.value)) return false;
      insert(segment.free, address.value);
      return true;
    },
    owns: (address) => segmentOf(address) !== undefined,
    free: () =>
      segments
        .flatMap(({ free }) => free)
        .reduce((sum, { first, last }) => sum + last - first + 1n, 0n),
  };
}

const rangeOf = (prefix: Prefix): Range => ({
  first: firstAddress(prefix).value,
  last: lastAddress(prefix).value,
});

const holds = (ranges: readonly Range[], value: bigint): boolean => {
  const range = ranges[indexOf(ranges, value)];
  return range !== undefined && range.first <= value;
};

/** Up to `count` lowest free addresses of a segment that lie in none of `without`. */
function lowestOf({ prefix, free }: Segment, without: readonly Prefix[], count: number): Address[] {
  const { family } = prefix;
  const holes = disjoint(without.filter((hole) => hole.family === family).map(rangeOf));
  const found: Address[] = [];
  let from = 0n;
  while (found.length < count) {
    const value = lowest(free, holes, from);
    if (value === undefined) break;
    found.push({ family, value });
    from = value + 1n;
  }
  return found;
}

/** The same ranges sorted, with overlapping ones joined. */
function disjoint(ranges: readonly Range[]): Range[] {
  const sorted = ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const joined: Range[] = [];
  for (const range of sorted) {
    const before = joined.at(-1);
    if (before === undefined || range.first > before.last) joined.push(range);
    else if (range.last > before.last)
      joined[joined.length - 1] = { first: before.first, last: range.last };
  }
  return joined;
}
