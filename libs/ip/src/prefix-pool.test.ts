import { describe, expect, test } from '@jest/globals';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { parsePrefix } from './prefix.ts';
import { createPrefixPool, type PrefixPool } from './prefix-pool.ts';

const pool = (prefixes: string[], excluded: string[] = []): PrefixPool =>
  createPrefixPool(prefixes.map(parsePrefix), excluded.map(parsePrefix));
const text = (address: Address | undefined): string | undefined =>
  address && formatAddress(address);
const pair = (taken: ReturnType<PrefixPool['takePair']>): string | undefined =>
  taken && `${formatAddress(taken.dst)} ${formatAddress(taken.src)}`;

describe('a prefix pool', () => {
  test('hands out the lowest free address, the network address first', () => {
    const four = pool(['10.0.0.0/30']);
    expect([1, 2, 3, 4, 5].map(() => text(four.take()))).toEqual([
      '10.0.0.0',
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
      undefined,
    ]);
  });

  test('hands a returned address out again', () => {
    const some = pool(['10.0.0.0/29']);
    for (let i = 0; i < 6; i += 1) some.take();
    expect(some.release(parseAddress('10.0.0.2'))).toBe(true);
    expect(some.release(parseAddress('10.0.0.4'))).toBe(true);
    expect(some.release(parseAddress('10.0.0.3'))).toBe(true);
    expect([1, 2, 3, 4].map(() => text(some.take()))).toEqual([
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.4',
      '10.0.0.6',
    ]);
  });

  test('skips what the pool and what the caller excludes', () => {
    const some = pool(['10.0.0.0/28'], ['10.0.0.0/30']);
    expect(
      text(
        some.take([parsePrefix('10.0.0.4/31'), parsePrefix('10.0.0.0/29'), parsePrefix('::/0')]),
      ),
    ).toBe('10.0.0.8');
    expect(text(some.take())).toBe('10.0.0.4');
    expect(some.owns(parseAddress('10.0.0.1'))).toBe(false);
    expect(some.take([parsePrefix('0.0.0.0/0')])).toBeUndefined();
  });

  test('claims an address once', () => {
    const some = pool(['10.0.0.0/30']);
    expect(some.claim(parseAddress('10.0.0.1'))).toBe(true);
    expect(some.claim(parseAddress('10.0.0.1'))).toBe(false);
    expect(some.claim(parseAddress('10.0.1.1'))).toBe(false);
    expect(some.claim(parseAddress('::1'))).toBe(false);
    expect([text(some.take()), text(some.take())]).toEqual(['10.0.0.0', '10.0.0.2']);
  });

  test('takes back only what it gave out', () => {
    const some = pool(['10.0.0.0/30'], ['10.0.0.3/32']);
    expect(some.release(parseAddress('10.0.0.0'))).toBe(false);
    expect(some.release(parseAddress('10.0.0.3'))).toBe(false);
    expect(some.release(parseAddress('192.0.2.1'))).toBe(false);
    expect(some.free()).toBe(3n);
  });

  test('gives a pair: the endpoint the lower address, the client the next', () => {
    const some = pool(['172.16.1.0/24']);
    expect([pair(some.takePair()), pair(some.takePair())]).toEqual([
      '172.16.1.0 172.16.1.1',
      '172.16.1.2 172.16.1.3',
    ]);
    expect(pair(some.takePair([parsePrefix('172.16.1.4/31'), parsePrefix('172.16.1.7/32')]))).toBe(
      '172.16.1.6 172.16.1.8',
    );
  });

  test('takes both addresses of a pair from one prefix, or none', () => {
    const some = pool(['10.0.0.0/32', '10.0.1.0/31']);
    expect(pair(some.takePair())).toBe('10.0.1.0 10.0.1.1');
    expect(some.takePair()).toBeUndefined();
    expect(text(some.take())).toBe('10.0.0.0');
  });

  test('claims a pair as a whole', () => {
    const some = pool(['10.0.0.0/30', '10.0.1.0/30']);
    const claim = (dst: string, src: string): boolean =>
      some.claimPair({ dst: parseAddress(dst), src: parseAddress(src) });
    expect(claim('10.0.0.0', '10.0.1.1')).toBe(false);
    expect(claim('10.0.0.0', '10.0.0.0')).toBe(false);
    expect(claim('192.0.2.0', '192.0.2.1')).toBe(false);
    expect(claim('10.0.0.2', '10.0.0.1')).toBe(true);
    expect(claim('10.0.0.3', '10.0.0.1')).toBe(false);
    expect([text(some.take()), text(some.take())]).toEqual(['10.0.0.0', '10.0.0.3']);
  });

  test('uses prefixes in the order given, of both families, and counts overlaps once', () => {
    const some = pool(['10.0.0.4/31', '10.0.0.0/29', 'fd00::/127']);
    expect(some.free()).toBe(10n);
    const all = Array.from({ length: 11 }, () => text(some.take()));
    expect(all.slice(0, 3)).toEqual(['10.0.0.4', '10.0.0.5', '10.0.0.0']);
    expect(all.slice(-3)).toEqual(['fd00::', 'fd00::1', undefined]);
    expect(some.release(parseAddress('10.0.0.5'))).toBe(true);
    expect(text(some.take())).toBe('10.0.0.5');
  });

  test('does not walk through large prefixes', () => {
    const large = pool(['10.0.0.0/8', 'fd00::/16']);
    const started = performance.now();
    for (let i = 0; i < 20_000; i += 1) large.takePair([parsePrefix('10.0.0.0/9')]);
    for (let i = 0; i < 20_000; i += 1)
      large.release({ family: 4, value: 0x0a800000n + BigInt(i * 2) });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(text(large.take())).toBe('10.0.0.0');
    expect(text(large.take([parsePrefix('10.0.0.0/9')]))).toBe('10.128.0.0');
  });

  test('keeps its books over random use', () => {
    const some = pool(['10.0.0.0/26'], ['10.0.0.7/32']);
    const taken = new Set<string>();
    for (let i = 0; i < 3000; i += 1) {
      const address = `10.0.0.${Math.floor(Math.random() * 64)}`;
      const was = taken.has(address);
      if (Math.random() < 0.5) {
        expect(some.claim(parseAddress(address))).toBe(!was && address !== '10.0.0.7');
        if (address !== '10.0.0.7') taken.add(address);
      } else expect(some.release(parseAddress(address))).toBe(taken.delete(address));
      expect(some.free()).toBe(BigInt(63 - taken.size));
    }
  });
});
