import { expect, test } from '@jest/globals';
import { formatAddress } from './address.ts';
import { createPrefixPool, type AddressPair, type PrefixPool } from './prefix-pool.ts';
import { parsePrefix } from './prefix.ts';
import { quarantined } from './quarantine.ts';

const MS = 60_000;
let now = 0;
const pool = (prefix: string): PrefixPool =>
  quarantined(createPrefixPool([parsePrefix(prefix)]), { ms: MS, now: () => now });
const text = (pair: AddressPair | undefined): string | undefined =>
  pair && `${formatAddress(pair.dst)} ${formatAddress(pair.src)}`;
const giveBack = (from: PrefixPool, { dst, src }: AddressPair): boolean[] => [
  from.release(dst),
  from.release(src),
];

test('an address that was given back rests before somebody else gets it', () => {
  const some = pool('10.0.0.0/29');
  const first = some.takePair()!;
  expect(giveBack(some, first)).toEqual([true, true]);
  expect(text(some.takePair())).toBe('10.0.0.2 10.0.0.3');
  now += MS - 1;
  expect(text(some.takePair())).toBe('10.0.0.4 10.0.0.5');
  now += 1;
  expect(text(some.takePair())).toBe('10.0.0.0 10.0.0.1');
});

test('who had it gets it back at once', () => {
  const some = pool('10.0.0.0/29');
  const first = some.takePair()!;
  giveBack(some, first);
  expect(some.claimPair(first)).toBe(true);
  expect(some.claimPair(first)).toBe(false);
  expect(text(some.takePair())).toBe('10.0.0.2 10.0.0.3');
});

test('a pool with nothing else gives out what has rested longest', () => {
  const some = pool('10.0.0.0/30');
  const [first, second] = [some.takePair()!, some.takePair()!];
  giveBack(some, second);
  giveBack(some, first);
  expect(some.free()).toBe(4n);
  expect(text(some.takePair())).toBe('10.0.0.2 10.0.0.3');
  expect(text(some.takePair())).toBe('10.0.0.0 10.0.0.1');
  expect(some.takePair()).toBeUndefined();
});

test('what was not taken is not given back', () => {
  const some = pool('10.0.0.0/30');
  const first = some.takePair()!;
  expect(giveBack(some, first)).toEqual([true, true]);
  expect(giveBack(some, first)).toEqual([false, false]);
  expect(some.release({ family: 4, value: 1n })).toBe(false);
});
