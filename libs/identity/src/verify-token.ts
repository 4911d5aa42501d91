import { verify, type KeyObject } from 'node:crypto';
import { NsmError } from '@nsm/rpc';

/** Longer ones are refused unread: upstream's have some 400 bytes. */
const MAX_BYTES = 8_192;

/** What a token says (contract 2.4). */
export interface Claims {
  readonly sub: string;
  /** Whom it is meant for; several only where another implementation wrote it. */
  readonly aud: readonly string[];
  /** Seconds since 1970. */
  readonly exp: number;
}

/** What a token has to agree with. */
export interface Expected {
  /** The key of the certificate its signer presents. */
  readonly publicKey: KeyObject;
  /** The SPIFFE id of that certificate. */
  readonly subject: string;
  /** Who it is shown to. */
  readonly audience: string;
  /** In ms since 1970. */
  readonly now: number;
}

/** A token that `expected.subject` has signed for `expected.audience` and that has not expired. @throws NsmError permission-denied with the reason */
export function verifyToken(token: string, expected: Expected): Claims {
  const claims = claimsOf(token);
  checkSignature(token, expected.publicKey);
  checkTime(claims, expected.now);
  if (claims.sub !== expected.subject)
    throw refused(`it is of "${claims.sub}", and ${expected.subject} has brought it`);
  if (!claims.aud.includes(expected.audience))
    throw refused(`it is meant for ${claims.aud.join(', ') || 'nobody'}, not for this hop`);
  return claims;
}

/** The claims of a token, unverified. @throws NsmError permission-denied where it cannot be an ES256 token */
function claimsOf(token: string): Claims {
  if (token.length > MAX_BYTES) throw refused(`it is longer than ${MAX_BYTES} bytes`);
  const parts = token.split('.');
  const [header, body] = parts.map(jsonOf);
  if (parts.length !== 3 || !header || !body) throw refused('it is no JWT');
  if (header['alg'] !== 'ES256')
    throw refused(`its alg is ${JSON.stringify(header['alg'])}, and must be "ES256"`);
  if (header['crit'] !== undefined) throw refused('it has critical headers nobody here knows');
  const { sub, aud, exp, nbf = 0 } = body;
  const audience = typeof aud === 'string' ? [aud] : (aud ?? []);
  if (typeof sub !== 'string') throw refused('it has no subject');
  if (!isTime(exp)) throw refused('it has no expiry');
  if (!isTime(nbf)) throw refused('its nbf is no time');
  if (!Array.isArray(audience) || !audience.every((one) => typeof one === 'string'))
    throw refused('its audience is no list of ids');
  return { sub, aud: audience, exp, ...(nbf > 0 && { nbf }) };
}

function checkSignature(token: string, key: KeyObject): void {
  const at = token.lastIndexOf('.');
  const signature = Buffer.from(token.slice(at + 1), 'base64url');
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw refused('the key of the certificate is not one of P-256');
  if (
    signature.length !== 64 ||
    !verify(
      'sha256',
      Buffer.from(token.slice(0, at)),
      { key, dsaEncoding: 'ieee-p1363' },
      signature,
    )
  )
    throw refused('its signature is not that of the certificate of this connection');
}

function checkTime({ exp, nbf = 0 }: Claims & { nbf?: number }, now: number): void {
  if (exp * 1_000 <= now) throw refused(`it has expired at ${isoOf(exp)}`);
  if (nbf * 1_000 > now) throw refused(`it is not valid before ${isoOf(nbf)}`);
}

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 253_402_300_800;

const isoOf = (seconds: number): string => new Date(seconds * 1_000).toISOString();

function jsonOf(part: string, index: number): Record<string, unknown> | undefined {
  if (index > 1 || !/^[A-Za-z0-9_-]+$/.test(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Upstream's words first (contract 2.10): peers look for them. */
const refused = (reason: string): NsmError =>
  new NsmError('permission-denied', `no sufficient privileges: the token is refused: ${reason}`);
