import { NsmError } from './error.ts';
import type { LimitName } from './limits.ts';

/** Counts one more of an identity, and answers how to count one less. @throws NsmError exhausted */
export type Enter = (spiffeId: string) => () => void;

const WHAT = {
  pending: 'calls that wait for an answer',
  streams: 'open streams',
  connections: 'connections',
} as const satisfies Partial<Record<LimitName, string>>;

/** So many of each identity at a time. */
export function counted(limit: keyof typeof WHAT, max: number): Enter {
  const counts = new Map<string, number>();
  return (spiffeId) => {
    const now = counts.get(spiffeId) ?? 0;
    if (now >= max)
      throw new NsmError('exhausted', `${spiffeId} has ${now} ${WHAT[limit]} here already`, {
        hint: 'wait until some of them have ended, or raise the limit',
        limit,
      });
    counts.set(spiffeId, now + 1);
    return () => {
      const left = (counts.get(spiffeId) ?? 1) - 1;
      if (left === 0) counts.delete(spiffeId);
      else counts.set(spiffeId, left);
    };
  };
}
