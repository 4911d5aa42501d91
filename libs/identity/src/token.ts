import type { Clock } from '@nsm/chain';
import type { Timestamp } from '@nsm/proto';

/** A token as it stands in a path segment (contract 2.4). */
export interface Token {
  readonly token: string;
  readonly expires: Timestamp;
}

/** Makes the tokens of one process. */
export interface TokenSource {
  /** The subject of its tokens: the process's own SPIFFE id. */
  readonly subject: string;
  /** A token for `audience`, the SPIFFE id of the peer it is meant for; undefined: not known, the claim is left out. */
  issue(audience: string | undefined): Promise<Token>;
}

const base64url = (value: object): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * Tokens that prove nothing: unsigned JWTs (RFC 7519, section 6) with the claims of contract 2.4. For meshes without
 * identities, where whoever reaches a socket is trusted; peers that verify tokens refuse them.
 */
export function insecureTokens(name: string, lifetimeMs: number, clock: Clock): TokenSource {
  const subject = `spiffe://insecure/${encodeURIComponent(name)}`;
  const header = base64url({ alg: 'none', typ: 'JWT' });
  return {
    subject,
    issue: async (audience) => {
      const seconds = Math.floor((clock.now() + lifetimeMs) / 1_000);
      const claims = base64url({
        sub: subject,
        ...(audience !== undefined && { aud: [audience] }),
        exp: seconds,
      });
      return { token: `${header}.${claims}.`, expires: { seconds, nanos: 0 } };
    },
  };
}

/** The `sub` claim of a token, unverified; undefined where it is no JWT or has none. */
export function subjectOf(token: string): string | undefined {
  const claims = token.split('.')[1];
  if (claims === undefined) return undefined;
  try {
    const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub?: unknown };
    return typeof sub === 'string' ? sub : undefined;
  } catch {
    return undefined;
  }
}
