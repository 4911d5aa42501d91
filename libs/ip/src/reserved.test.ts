import { expect, test } from '@jest/globals';
import { formatAddress, parseAddress } from './address.ts';
import { createPrefixPool, type AddressPair, type PrefixPool } from './prefix-pool.ts';
import { parsePrefix } from './prefix.ts';
import { reserved } from './reserved.ts';

const MS = 60_000;
let now = 0;
const pool = (prefix: string, ...addresses: string[]): PrefixPool =>
  reserved(createPrefixPool([parsePrefix(prefix)]), {
    addresses: addresses.map(parseAddress),
    ms: MS,
    now: () => now,
  });
const pair = (dst: string, src: string): AddressPair => ({
  dst: parseAddress(dst),
  src: parseAddress(src),
});
const text = (taken: AddressPair | undefined): string | undefined =>
  taken && `${formatAddress(taken.dst)} ${formatAddress(taken.src)}`;

test('who has an address gets it, and nobody else does', () => {
  const some = pool('10.0.0.0/29', '10.0.0.0', '10.0.0.1', '10.9.9.9', 'fd00::1');
  expect(text(some.takePair())).toBe('10.0.0.2 10.0.0.3');
  expect(some.claimPair(pair('10.0.0.0', '10.0.0.1'))).toBe(true);
  expect(some.claimPair(pair('10.0.0.0', '10.0.0.1'))).toBe(false);
  expect(text(some.takePair())).toBe('10.0.0.4 10.0.0.5');
});

test('a full pool does not give them away', () => {
  const some = pool('10.0.0.0/31', '10.0.0.0');
  expect(some.takePair()).toBeUndefined();
  expect(formatAddress(some.take()!)).toBe('10.0.0.1');
  expect(some.take()).toBeUndefined();
});

test('they stay kept when only one of a pair can be had', () => {
  const some = pool('10.0.0.0/29', '10.0.0.0');
  expect(formatAddress(some.take()!)).toBe('10.0.0.1');
  expect(some.claimPair(pair('10.0.0.0', '10.0.0.1'))).toBe(false);
  expect(text(some.takePair())).toBe('10.0.0.2 10.0.0.3');
});

test('who has not taken one cannot give it back', () => {
  const some = pool('10.0.0.0/29', '10.0.0.0');
  expect(some.release(parseAddress('10.0.0.0'))).toBe(false);
  expect(some.claim(parseAddress('10.0.0.0'))).toBe(true);
  expect(some.release(parseAddress('10.0.0.0'))).toBe(true);
});

test('after the time they are like any others', () => {
  const some = pool('10.0.0.0/29', '10.0.0.0', '10.0.0.1');
  now += MS - 1;
  expect(text(some.takePair())).toBe('10.0.0.2 10.0.0.3');
  now += 1;
  expect(text(some.takePair())).toBe('10.0.0.0 10.0.0.1');
});
