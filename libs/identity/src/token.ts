import type { Clock } from '@nsm/chain';
import type { Timestamp } from '@nsm/proto';
import type { Identity, Peer } from '@nsm/rpc';

/** A token as it stands in a path segment (contract 2.4). */
export interface Token {
  readonly token: string;
  readonly expires: Timestamp;
}

/** Whom a token is meant for. */
export interface Audience {
  readonly spiffeId: string;
  /** When its certificate ends, in ms since 1970; no token is said to outlive it. */
  readonly notAfter?: number;
  /** What this process has proven itself with to it; it verifies tokens with that. */
  readonly shown?: Identity | undefined;
}

/** Makes the tokens of one process. */
export interface TokenSource {
  /** A token for a peer; undefined: not known, the claim is left out. */
  issue(audience: Audience | undefined): Promise<Token>;
}

export const base64url = (value: object): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * Tokens that prove nothing: unsigned JWTs (RFC 7519, section 6) with the claims of contract 2.4. For meshes without
 * identities, where whoever reaches a socket is trusted; peers that verify tokens refuse them.
 */
export function insecureTokens(name: string, lifetimeMs: number, clock: Clock): TokenSource {
  const subject = `spiffe://insecure/${encodeURIComponent(name)}`;
  const header = base64url({ alg: 'none', typ: 'JWT' });
  return {
    issue: async (audience) => {
      const seconds = Math.floor((clock.now() + lifetimeMs) / 1_000);
      const claims = base64url({
        sub: subject,
        ...(audience !== undefined && { aud: [audience.spiffeId] }),
        exp: seconds,
      });
      return { token: `${header}.${claims}.`, expires: { seconds, nanos: 0 } };
    },
  };
}

/** The `sub` claim of a token, unverified; undefined where it is no JWT or has none. */
export function subjectOf(token: string): string | undefined {
  const sub = claimOf(token, 'sub');
  return typeof sub === 'string' ? sub : undefined;
}

/** The first of the `aud` claim of a token, unverified; undefined where it is no JWT or is for nobody in particular. */
export function audienceOf(token: string): string | undefined {
  const aud = claimOf(token, 'aud');
  const first: unknown = Array.isArray(aud) ? aud[0] : aud;
  return typeof first === 'string' ? first : undefined;
}

/** When a token says that it ends, in ms since 1970, unverified; 1970 where it does not say. */
export function expiryOf(token: string): number {
  const exp = claimOf(token, 'exp');
  return typeof exp === 'number' ? exp * 1_000 : 0;
}

function claimOf(token: string, name: string): unknown {
  const claims = token.split('.')[1];
  if (claims === undefined) return undefined;
  try {
    return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>)[
      name
    ];
  } catch {
    return undefined;
  }
}

/** Whom to answer: who the connection proves the caller to be, or else who its token says. */
export function callerOf(peer: Peer | undefined, token: Token | undefined): Audience | undefined {
  if (peer) return peer;
  const spiffeId = token && subjectOf(token.token);
  return spiffeId === undefined ? undefined : { spiffeId };
}
