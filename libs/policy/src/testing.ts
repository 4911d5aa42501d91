/** For tests: who is who, and the tokens of hops. */
import { systemClock, type Clock } from '@nsm/chain';
import { svidTokens } from '@nsm/identity';
import { createAuthority } from '@nsm/identity/authority';
import { heldIdentity } from '@nsm/identity/testing';
import type { Peer } from '@nsm/rpc';

const HOUR_MS = 3_600_000;

/** Somebody with an identity of `nsm.test`. */
export interface Party {
  readonly id: string;
  readonly peer: Peer;
  /** A token of its own for another one. */
  tokenFor(other: Party): Promise<string>;
}

export function parties<const N extends string>(
  names: readonly N[],
  clock: Clock = systemClock,
): Record<N, Party> {
  const authority = createAuthority('nsm.test', 24 * HOUR_MS, clock);
  const party = (name: N): Party => {
    const identity = authority.issue(`spiffe://nsm.test/${name}`, HOUR_MS);
    const tokens = svidTokens(heldIdentity(identity, clock), HOUR_MS / 6, clock);
    const { spiffeId: id, certificates } = identity;
    return {
      id,
      peer: {
        spiffeId: id,
        certificate: certificates[0],
        notAfter: Date.parse(certificates[0].validTo),
      },
      tokenFor: async ({ peer }) => (await tokens.issue(peer)).token,
    };
  };
  return Object.fromEntries(names.map((name) => [name, party(name)])) as Record<N, Party>;
}
