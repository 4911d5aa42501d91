import type { Address } from './address.ts';
import type { PrefixPool } from './prefix-pool.ts';

export interface ReservedOptions {
  /** Who has them already; those that are not of the pool do not count. */
  readonly addresses: readonly Address[];
  /** How long they are kept for whoever has them, in ms. */
  readonly ms: number;
  /** ms, from any origin. */
  readonly now: () => number;
}

/** A pool that keeps addresses for those who have them: who asks for one by its value gets it, and for a time nobody else does. */
export function reserved(pool: PrefixPool, { addresses, ms, now }: ReservedOptions): PrefixPool {
  const until = now() + ms;
  /** Taken in the pool. */
  const kept = new Map<string, Address>();
  const keyOf = ({ family, value }: Address): string => `${family} ${value}`;
  const keep = (address: Address): void => {
    if (pool.claim(address)) kept.set(keyOf(address), address);
  };
  const leave = (address: Address): boolean => kept.delete(keyOf(address)) && pool.release(address);
  const leaveInTime = (): void => {
    if (kept.size > 0 && now() >= until) for (const address of kept.values()) leave(address);
  };
  for (const address of addresses) keep(address);
  return {
    take: (excluded) => {
      leaveInTime();
      return pool.take(excluded);
    },
    takePair: (excluded) => {
      leaveInTime();
      return pool.takePair(excluded);
    },
    claim: (address) => {
      leave(address);
      return pool.claim(address);
    },
    claimPair: (pair) => {
      const left = [pair.dst, pair.src].filter(leave);
      const claimed = pool.claimPair(pair);
      if (!claimed) left.forEach(keep);
      return claimed;
    },
    release: (address) => !kept.has(keyOf(address)) && pool.release(address),
    owns: (address) => pool.owns(address),
    free: () => pool.free(),
  };
}
