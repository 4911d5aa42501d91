import { sign } from 'node:crypto';
import type { Clock } from '@nsm/chain';
import type { Identity, IdentitySource } from '@nsm/rpc';
import { endOf } from './source.ts';
import { base64url, type Token, type TokenSource } from './token.ts';

/** The part of its lifetime for which a token is given out again; a refresh comes later than that and gets a new one. */
const REUSE = 0.1;
/** Peers whose tokens are remembered. */
const MAX_KEPT = 1_024;

const HEADER = base64url({ alg: 'ES256', typ: 'JWT' });

/**
 * Tokens signed with the key of the X.509-SVID (contract 2.4): ES256, for one peer, until the lifetime or the SVID ends.
 * One is signed per peer and tenth of the lifetime, not per request.
 */
export function svidTokens(source: IdentitySource, lifetimeMs: number, clock: Clock): TokenSource {
  const kept = new Map<string, { token: string; seconds: number; until: number }>();
  let of: Identity | undefined;
  return {
    issue: async (peer): Promise<Token> => {
      const identity = await source.current();
      if (of !== identity) kept.clear();
      of = identity;
      const now = clock.now();
      const audience = peer?.spiffeId ?? '';
      let found = kept.get(audience);
      if (!found || found.until <= now) {
        const seconds = Math.floor(Math.min(now + lifetimeMs, endOf(identity)) / 1_000);
        const until = now + (seconds * 1_000 - now) * REUSE;
        found = { token: signed(identity, peer?.spiffeId, seconds), seconds, until };
        if (kept.size >= MAX_KEPT) kept.clear();
        kept.set(audience, found);
      }
      const seconds = Math.min(found.seconds, Math.floor((peer?.notAfter ?? Infinity) / 1_000));
      return { token: found.token, expires: { seconds, nanos: 0 } };
    },
  };
}

function signed({ spiffeId, privateKey }: Identity, audience: string | undefined, exp: number) {
  const claims = { sub: spiffeId, ...(audience !== undefined && { aud: [audience] }), exp };
  const text = `${HEADER}.${base64url(claims)}`;
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' as const };
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}
