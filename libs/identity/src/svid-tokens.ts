import { sign } from 'node:crypto';
import type { Clock } from '@nsm/chain';
import type { Identity, IdentitySource } from '@nsm/rpc';
import { endOf } from './source.ts';
import { base64url, type Token, type TokenSource } from './token.ts';

/** The part of its lifetime for which a token is given out again; a refresh comes later than that and gets a new one. */
const REUSE = 0.1;
/** Peers whose tokens are remembered. */
const MAX_KEPT = 1_024;

interface Kept {
  readonly token: string;
  readonly seconds: number;
  readonly until: number;
}

const HEADER = { alg: 'ES256', typ: 'JWT' };

export interface SvidTokenOptions {
  /** Whether tokens carry the certificates of their signer, so that every hop can verify them (RFC 7515, 4.1.6: x5c). @default false */
  readonly certificates?: boolean;
}

/**
 * Tokens signed with the key of the X.509-SVID that the peer has seen (contract 2.4): ES256, for one peer, until the lifetime or the SVID ends.
 * One is signed per peer and tenth of the lifetime, not per request.
 */
export function svidTokens(
  source: IdentitySource,
  lifetimeMs: number,
  clock: Clock,
  { certificates = false }: SvidTokenOptions = {},
): TokenSource {
  const kept = new WeakMap<Identity, Map<string, Kept>>();
  return {
    issue: async (peer): Promise<Token> => {
      const identity = peer?.shown ?? (await source.current());
      const tokens = kept.get(identity) ?? new Map<string, Kept>();
      kept.set(identity, tokens);
      const now = clock.now();
      const audience = peer?.spiffeId ?? '';
      let found = tokens.get(audience);
      if (!found || found.until <= now) {
        const seconds = Math.floor(Math.min(now + lifetimeMs, endOf(identity)) / 1_000);
        const until = now + (seconds * 1_000 - now) * REUSE;
        const claims = { sub: identity.spiffeId, aud: peer && [peer.spiffeId], exp: seconds };
        const header = certificates ? { ...HEADER, x5c: chainOf(identity) } : HEADER;
        found = { token: signed(header, claims, identity), seconds, until };
        if (tokens.size >= MAX_KEPT) tokens.clear();
        tokens.set(audience, found);
      }
      const seconds = Math.min(found.seconds, Math.floor((peer?.notAfter ?? Infinity) / 1_000));
      return { token: found.token, expires: { seconds, nanos: 0 } };
    },
  };
}

const chainOf = ({ certificates }: Identity): string[] =>
  certificates.map(({ raw }) => raw.toString('base64'));

function signed(header: object, claims: object, { privateKey }: Identity): string {
  const text = `${base64url(header)}.${base64url(claims)}`;
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' as const };
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}
