import type { Address } from './address.ts';
import type { PrefixPool } from './prefix-pool.ts';

export interface QuarantineOptions {
  /** How long an address that was given back is given to nobody else, in ms. */
  readonly ms: number;
  /** ms, from any origin. */
  readonly now: () => number;
}

/**
 * A pool whose addresses rest after they were given back: packets to the one who had them are still on their way, and neighbours
 * remember. Whoever asks for a resting address by its value gets it, as a client does that comes back. Where nothing else is left,
 * the one that has rested longest is given out.
 */
export function quarantined(pool: PrefixPool, { ms, now }: QuarantineOptions): PrefixPool {
  /** Taken in the pool; the oldest first. */
  const resting = new Map<string, { readonly address: Address; readonly until: number }>();
  const keyOf = ({ family, value }: Address): string => `${family} ${value}`;
  const end = (address: Address): void => {
    if (resting.delete(keyOf(address))) pool.release(address);
  };
  /** Ends the longest rest, if it is over or `early`. */
  const endFirst = (early: boolean): boolean => {
    const [first] = resting.values();
    if (first === undefined || (!early && first.until > now())) return false;
    end(first.address);
    return true;
  };
  const taken = <T>(take: () => T | undefined): T | undefined => {
    while (endFirst(false));
    let found = take();
    while (found === undefined && endFirst(true)) found = take();
    return found;
  };
  return {
    take: (excluded) => taken(() => pool.take(excluded)),
    takePair: (excluded) => taken(() => pool.takePair(excluded)),
    claim: (address) => {
      end(address);
      return pool.claim(address);
    },
    claimPair: (pair) => {
      end(pair.dst);
      end(pair.src);
      return pool.claimPair(pair);
    },
    release: (address) => {
      if (resting.has(keyOf(address)) || !pool.owns(address)) return false;
      // Who gives back what was free is told so; what was taken is taken again, to rest.
      if (!pool.release(address)) return false;
      pool.claim(address);
      resting.set(keyOf(address), { address, until: now() + ms });
      return true;
    },
    owns: (address) => pool.owns(address),
    free: () => pool.free() + BigInt(resting.size),
  };
}
