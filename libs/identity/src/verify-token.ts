import { verify, X509Certificate, type KeyObject } from 'node:crypto';
import { peerOf, type Identity, type Peer } from '@nsm/rpc';

/** Longer ones are refused unread: upstream's have some 400 bytes. */
const MAX_BYTES = 8_192;

/** What a token says (contract 2.4). */
interface Claims {
  readonly sub: string;
  /** Whom it is meant for; several only where another implementation wrote it. */
  readonly aud: readonly string[];
  /** Seconds since 1970. */
  readonly exp: number;
  /** Likewise; not valid before. */
  readonly nbf: number;
  /** The certificates of its signer in base64, the leaf first, where it carries them (RFC 7515, 4.1.6). */
  readonly x5c: readonly string[] | undefined;
}

/** Says what is wrong with a token. */
export class TokenError extends Error {}

/** Tokens remembered: each hop of a path signs a new one for the next every minute. */
const MAX_READ = 512;
/** Tokens remembered of one peer. */
const MAX_VERIFIED = 16;
/** Longest chain of certificates in a token. */
const MAX_CHAIN = 8;

/** Reads tokens and remembers what it has read: the same ones come with every request. */
export interface TokenReader {
  /** The claims of a token that could be one of a hop, unverified. @throws TokenError */
  read(token: string): Claims;
  /** A token that `signer` has signed with the key of its certificate, and that is valid now (ms since 1970). @throws TokenError */
  verify(token: string, signer: Peer, now: number): Claims;
  /**
   * A token that carries the certificates of its signer, and that those prove: they end at one of the bundles, name the subject, and
   * do not end before the token does. Whether that has expired is not looked at. @throws TokenError
   */
  prove(token: string, bundles: Identity['bundles']): void;
}

export function createTokenReader(): TokenReader {
  const known = new Map<string, Claims>();
  const verified = new WeakMap<Peer, Set<string>>();
  const proven = new WeakMap<Identity['bundles'], Set<string>>();
  const read = (token: string): Claims => {
    const found = known.get(token);
    if (found) return found;
    const claims = claimsOf(token);
    if (known.size >= MAX_READ) known.clear();
    known.set(token, claims);
    return claims;
  };
  return {
    read,
    verify: (token, signer, now) => {
      const claims = read(token);
      const good = verified.get(signer) ?? new Set();
      if (!good.has(token)) {
        checkSignature(token, signer.certificate.publicKey);
        if (good.size >= MAX_VERIFIED) good.clear();
        verified.set(signer, good.add(token));
      }
      checkTime(claims, now);
      if (claims.sub !== signer.spiffeId)
        throw new TokenError(`it is of "${claims.sub}", and ${signer.spiffeId} has brought it`);
      return claims;
    },
    prove: (token, bundles) => {
      const good = proven.get(bundles) ?? new Set();
      if (good.has(token)) return;
      const { sub, exp, x5c } = read(token);
      if (!x5c) throw new TokenError('it does not carry the certificates of its signer');
      const signer = signerOf(x5c, exp, bundles);
      if (signer.spiffeId !== sub)
        throw new TokenError(`it is of "${sub}", and ${signer.spiffeId} has signed it`);
      checkSignature(token, signer.certificate.publicKey);
      if (good.size >= MAX_READ) good.clear();
      proven.set(bundles, good.add(token));
    },
  };
}

function signerOf(x5c: readonly string[], exp: number, bundles: Identity['bundles']): Peer {
  try {
    const chain = x5c.map((der) => new X509Certificate(Buffer.from(der, 'base64')));
    const first = chain.find(({ validTo }) => Date.parse(validTo) < exp * 1_000);
    if (first) throw new Error(`a certificate ends before it, at ${first.validTo}`);
    return peerOf(chain, bundles);
  } catch (err) {
    throw new TokenError(`its certificates prove nothing: ${(err as Error).message}`);
  }
}

function claimsOf(token: string): Claims {
  if (token.length > MAX_BYTES) throw new TokenError(`it is longer than ${MAX_BYTES} bytes`);
  const parts = token.split('.');
  const [header, body] = parts.map(jsonOf);
  if (parts.length !== 3 || !header || !body) throw new TokenError('it is no JWT');
  if (header['alg'] !== 'ES256')
    throw new TokenError(`its alg is ${JSON.stringify(header['alg'])}, and must be "ES256"`);
  if (header['crit'] !== undefined)
    throw new TokenError('it has critical headers nobody here knows');
  const { sub, aud, exp, nbf = 0 } = body;
  const { x5c } = header;
  const audience = typeof aud === 'string' ? [aud] : (aud ?? []);
  if (typeof sub !== 'string') throw new TokenError('it has no subject');
  if (!isTime(exp)) throw new TokenError('it has no expiry');
  if (!isTime(nbf)) throw new TokenError('its nbf is no time');
  if (!Array.isArray(audience) || !audience.every((one) => typeof one === 'string'))
    throw new TokenError('its audience is no list of ids');
  if (x5c !== undefined && !isChain(x5c))
    throw new TokenError(`its x5c is no list of at most ${MAX_CHAIN} certificates`);
  return { sub, aud: audience, exp, nbf, x5c };
}

function checkSignature(token: string, key: KeyObject): void {
  const at = token.lastIndexOf('.');
  const signature = Buffer.from(token.slice(at + 1), 'base64url');
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new TokenError('the key of the certificate is not one of P-256');
  if (
    signature.length !== 64 ||
    !verify(
      'sha256',
      Buffer.from(token.slice(0, at)),
      { key, dsaEncoding: 'ieee-p1363' },
      signature,
    )
  )
    throw new TokenError('its signature is not that of the certificate of its signer');
}

function checkTime({ exp, nbf }: Claims, now: number): void {
  if (exp * 1_000 <= now) throw new TokenError(`it has expired at ${isoOf(exp)}`);
  if (nbf * 1_000 > now) throw new TokenError(`it is not valid before ${isoOf(nbf)}`);
}

const isChain = (value: unknown): value is readonly string[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.length <= MAX_CHAIN &&
  value.every((one) => typeof one === 'string');

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
