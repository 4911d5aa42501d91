import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import type { Identity, Peer } from '@nsm/rpc';
import { createAuthority } from './authority.ts';
import { millis } from './headers.ts';
import { svidTokens } from './svid-tokens.ts';
import { heldIdentity } from './testing.ts';
import { createTokenReader, TokenError } from './verify-token.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const [MINUTE, HOUR] = [60_000, 3_600_000];
const clock = createFakeClock(NOW);
const authority = createAuthority('nsm.local', 24 * HOUR, clock);
const [client, server, other] = ['client', 'server', 'other'].map((name) =>
  authority.issue(`spiffe://nsm.local/${name}`, HOUR),
) as [Identity, Identity, Identity];

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = { sub: client.spiffeId, aud: [server.spiffeId], exp: NOW / 1_000 + 60 };
const signed = (
  change: object = {},
  header: object = { alg: 'ES256', typ: 'JWT' },
  key: KeyObject = client.privateKey,
): string => {
  const text = `${json(header)}.${json({ ...claims, ...change })}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
};
const publicKey = client.certificates[0].publicKey;
const peer = ({ spiffeId, certificates: [certificate] }: Identity): Peer => ({
  spiffeId,
  certificate,
  notAfter: Date.parse(certificate.validTo),
});
const verified = (token: string) => createTokenReader().verify(token, peer(client), NOW);

/** HS256 with the public key as the secret: what a verifier that believes the header accepts. */
const confused = (): string => {
  const text = `${json({ alg: 'HS256', typ: 'JWT' })}.${json(claims)}`;
  const secret = publicKey.export({ type: 'spki', format: 'pem' });
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
};
const derSignature = (): string => {
  const text = `${json({ alg: 'ES256' })}.${json(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), client.privateKey).toString('base64url')}`;
};
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const replaced = (part: number, by: string): string =>
  signed()
    .split('.')
    .map((was, i) => (i === part ? by : was))
    .join('.');

describe('a token', () => {
  test('of the peer, in time is accepted', () => {
    expect(verified(signed())).toMatchObject({ sub: client.spiffeId, aud: [server.spiffeId] });
    expect(verified(signed({ aud: server.spiffeId, nbf: NOW / 1_000 })).aud).toEqual([
      server.spiffeId,
    ]);
  });

  test.each<[string, string, RegExp]>([
    ['that has expired by a second', signed({ exp: NOW / 1_000 - 1 }), /expired/],
    ['that expires now', signed({ exp: NOW / 1_000 }), /expired/],
    ['that is not yet valid', signed({ nbf: NOW / 1_000 + 1 }), /not valid before/],
    ['without an expiry', signed({ exp: undefined }), /no expiry/],
    ['with an expiry in words', signed({ exp: 'tomorrow' }), /no expiry/],
    ['with an endless expiry', signed({ exp: 1e300 }), /no expiry/],
    ['with alg none', `${json({ alg: 'none' })}.${json(claims)}.`, /no JWT|alg/],
    ['with alg none and a signature', signed({}, { alg: 'none' }), /alg/],
    ['with HS256 and the public key', confused(), /alg/],
    ['with alg ES384', signed({}, { alg: 'ES384' }), /alg/],
    ['with a critical header', signed({}, { alg: 'ES256', crit: ['exp'] }), /critical/],
    ['signed by a stranger', signed({}, undefined, stranger), /signature/],
    ['signed by another workload', signed({}, undefined, other.privateKey), /signature/],
    ['with a signature in DER', derSignature(), /signature/],
    ['without a signature', signed().replace(/[^.]*$/, ''), /no JWT|signature/],
    ['whose audience is no list', signed({ aud: { a: 1 } }), /audience/],
    ['with a swapped subject', signed({ sub: other.spiffeId }), /is of/],
    ['without a subject', signed({ sub: undefined }), /subject/],
    ['whose claims were exchanged', replaced(1, json({ ...claims, exp: 9e9 })), /signature/],
    ['of two parts', signed().split('.').slice(0, 2).join('.'), /no JWT/],
    ['of four parts', `${signed()}.x`, /no JWT/],
    ['that is no base64', replaced(0, '!!'), /no JWT/],
    ['whose claims are a list', replaced(1, json([])), /no JWT/],
    ['of a megabyte', signed({ more: 'x'.repeat(1 << 20) }), /longer than/],
    ['that is empty', '', /no JWT/],
  ])('%s is refused', (_what, token, reason) => {
    let refusal: unknown;
    try {
      verified(token);
    } catch (err) {
      refusal = err;
    }
    expect(refusal).toBeInstanceOf(TokenError);
    expect(refusal).toMatchObject({ message: expect.stringMatching(reason) });
  });

  test('is refused where the certificate has another kind of key', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    for (const publicKey of [rsa, p384]) {
      const certificate = new Proxy(client.certificates[0], {
        get: (of, name) => (name === 'publicKey' ? publicKey : Reflect.get(of, name)) as unknown,
      });
      expect(() =>
        createTokenReader().verify(signed(), { ...peer(client), certificate }, NOW),
      ).toThrow(/P-256/);
    }
  });
});

const body = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

describe('the tokens of an identity', () => {
  const tokens = svidTokens(heldIdentity(client, clock), 10 * MINUTE, clock);

  test('have the claims of the contract and no more', async () => {
    const { token, expires } = await tokens.issue(peer(server));
    expect(body(token)).toEqual({
      sub: client.spiffeId,
      aud: [server.spiffeId],
      exp: (NOW + 10 * MINUTE) / 1_000,
    });
    expect(millis(expires)).toBe(NOW + 10 * MINUTE);
    expect(body((await tokens.issue(undefined)).token)).not.toHaveProperty('aud');
  });

  test('is read once, and judged again whenever it is shown', () => {
    const reader = createTokenReader();
    const token = signed();
    reader.verify(token, peer(client), NOW);
    expect(() => reader.verify(token, peer(other), NOW)).toThrow(/signature/);
    expect(() => reader.verify(token, peer(client), NOW + MINUTE)).toThrow(/expired/);
  });

  test('end with the certificate of their signer, and are not said to outlive that of their reader', async () => {
    const long = svidTokens(heldIdentity(client, clock), 5 * HOUR, clock);
    const { token } = await long.issue(peer(server));
    expect(body(token)).toMatchObject({ exp: (NOW + HOUR) / 1_000 });
    const { expires } = await long.issue({ spiffeId: 'spiffe://x/y', notAfter: NOW + MINUTE });
    expect(millis(expires)).toBe(NOW + MINUTE);
  });

  test('are signed once per peer, until a tenth of their life has passed or the identity changes', async () => {
    const own = createFakeClock(NOW);
    const source = heldIdentity(client, own);
    const kept = svidTokens(source, 10 * MINUTE, own);
    const issue = async () => (await kept.issue(peer(server))).token;
    const first = await issue();
    expect(await issue()).toBe(first);
    expect((await kept.issue(peer(other))).token).not.toBe(first);
    await own.advance(MINUTE);
    const second = await issue();
    expect(second).not.toBe(first);
    source.set(authority.issue(client.spiffeId, HOUR));
    expect(await issue()).not.toBe(second);
  });
});
