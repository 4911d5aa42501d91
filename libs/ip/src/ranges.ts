/** An inclusive range of addresses of one family. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Index of the first range that ends at or after `value`, in sorted disjoint ranges; their number when there is none. */
export function indexOf(ranges: readonly Range[], value: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(ranges, middle).last < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Takes `cut` out of sorted disjoint ranges, in place. */
export function subtract(ranges: Range[], cut: Range): void {
  const start = indexOf(ranges, cut.first);
  let end = start;
  const kept: Range[] = [];
  while (end < ranges.length && at(ranges, end).first <= cut.last) {
    const { first, last } = at(ranges, end);
    if (first < cut.first) kept.push({ first, last: cut.first - 1n });
    if (last > cut.last) kept.push({ first: cut.last + 1n, last });
    end += 1;
  }
  ranges.splice(start, end - start, ...kept);
}

/** Puts one value that is in none of the ranges back among them, joining neighbours, in place. */
export function insert(ranges: Range[], value: bigint): void {
  const index = indexOf(ranges, value);
  const before = ranges[index - 1];
  const after = ranges[index];
  const joinsBefore = before?.last === value - 1n;
  const joinsAfter = after?.first === value + 1n;
  const first = joinsBefore ? before.first : value;
  const last = joinsAfter ? after.last : value;
  const start = joinsBefore ? index - 1 : index;
  ranges.splice(start, Number(joinsBefore) + Number(joinsAfter), { first, last });
}

/** The lowest value that is in `ranges`, at least `from`, and in none of `excluded` (both sorted and disjoint). */
export function lowest(
  ranges: readonly Range[],
  excluded: readonly Range[],
  from = 0n,
): bigint | undefined {
  let value = from;
  for (;;) {
    const free = ranges[indexOf(ranges, value)];
    if (free === undefined) return undefined;
    if (value < free.first) value = free.first;
    const hole = excluded[indexOf(excluded, value)];
    if (hole === undefined || value < hole.first) return value;
    value = hole.last + 1n;
  }
}

function at(ranges: readonly Range[], index: number): Range {
  const range = ranges[index];
  if (range === undefined) throw new Error(`no range at ${index}`);
  return range;
}
