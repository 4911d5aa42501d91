import { createHmac, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { createAuthority } from '@nsm/identity/authority';
import { NsmError, type Identity, type Peer } from '@nsm/rpc';
import { createPolicies, type PolicyOptions } from './policies.ts';
import type { Operation, Question } from './question.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const SECOND = NOW / 1_000;
const authority = createAuthority('nsm.test', 86_400_000, createFakeClock(NOW));
type Name = 'client' | 'manager' | 'forwarder' | 'endpoint' | 'stranger';
const identities = Object.fromEntries(
  ['client', 'manager', 'forwarder', 'endpoint', 'stranger'].map((name) => [
    name,
    authority.issue(`spiffe://nsm.test/${name}`, 3_600_000),
  ]),
) as Record<Name, Identity>;
const idOf = (name: Name): string => identities[name].spiffeId;
const peer = (name: Name): Peer => {
  const [certificate] = identities[name].certificates;
  return { spiffeId: idOf(name), certificate, notAfter: Date.parse(certificate.validTo) };
};

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (header: object, claims: object, signed: (text: string) => Buffer): string => {
  const text = `${json(header)}.${json(claims)}`;
  return `${text}.${signed(Buffer.from(text).toString()).toString('base64url')}`;
};
const es256 =
  ({ privateKey: key }: Identity) =>
  (text: string): Buffer =>
    sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
/** The token of a hop for another one. */
const token = (of: Name, to: Name, change: object = {}, signer = of): string =>
  jwt(
    { alg: 'ES256', typ: 'JWT' },
    { sub: idOf(of), aud: [idOf(to)], exp: SECOND + 600, ...change },
    es256(identities[signer]),
  );
const signedWithThePublicKey = jwt(
  { alg: 'HS256', typ: 'JWT' },
  { sub: idOf('manager'), aud: [idOf('forwarder')], exp: SECOND + 600 },
  (text) =>
    createHmac(
      'sha256',
      identities.manager.certificates[0].publicKey.export({ type: 'spki', format: 'pem' }),
    )
      .update(text)
      .digest(),
);

/** What a forwarder is asked by a manager for a client. */
const [first, second, own] = [
  token('client', 'manager'),
  token('manager', 'forwarder'),
  token('forwarder', 'manager'),
];
const asked: Question = {
  op: 'request',
  peer: peer('manager'),
  tokens: [first, second, own],
  index: 2,
  now: NOW,
};
/** What a manager is answered by that forwarder, in front of an endpoint. */
const answered: Question = {
  op: 'answer',
  peer: peer('forwarder'),
  tokens: [first, second, token('forwarder', 'endpoint'), token('endpoint', 'forwarder')],
  index: 1,
  now: NOW,
};
const entry = { name: 'web', pathIds: [idOf('client'), idOf('manager')] };

/** Which policy refuses, and why; undefined: none does. */
function refusal(question: Question, options?: PolicyOptions): string | undefined {
  try {
    createPolicies(options).check(question);
    return undefined;
  } catch (err) {
    expect(err).toBeInstanceOf(NsmError);
    const { code, policy, message } = err as NsmError;
    expect(code).toBe('permission-denied');
    expect(message).toMatch(/^no sufficient privileges: /);
    return `${policy ?? ''}: ${message}`;
  }
}

const replaced = (k: number, by: string): readonly string[] => asked.tokens.toSpliced(k, 1, by);

describe('a call', () => {
  test.each<Operation>(['request', 'close', 'register', 'unregister'])(
    'with the tokens of its way may %s',
    (op) => {
      expect(refusal({ ...asked, op })).toBeUndefined();
    },
  );

  test.each<[string, readonly string[], RegExp]>([
    ['a token further up is no JWT', replaced(0, 'x'), /^tokens-valid: .*token 0.*no JWT/],
    ['a token further up is empty', replaced(0, ''), /^tokens-valid: .*token 0/],
    ['no token came', replaced(1, ''), /^tokens-valid: .*token 1/],
    [
      'the token has alg none',
      replaced(1, `${json({ alg: 'none' })}.${json({})}.`),
      /^tokens-valid:/,
    ],
    [
      'it is signed by HS256 with the public key',
      replaced(1, signedWithThePublicKey),
      /^tokens-valid: .*HS256/,
    ],
    [
      'it has a megabyte',
      replaced(1, token('manager', 'forwarder', { x: 'x'.repeat(1 << 20) })),
      /^tokens-valid: .*longer/,
    ],
    [
      'it expired a second ago',
      replaced(1, token('manager', 'forwarder', { exp: SECOND - 1 })),
      /^tokens-expired: .*token 1/,
    ],
    [
      'it expires now',
      replaced(1, token('manager', 'forwarder', { exp: SECOND })),
      /^tokens-expired:/,
    ],
    [
      'a token further up has expired',
      replaced(0, token('client', 'manager', { exp: SECOND - 1 })),
      /^tokens-expired: .*token 0/,
    ],
    [
      'it is not valid yet',
      replaced(1, token('manager', 'forwarder', { nbf: SECOND + 1 })),
      /^prev-token-signed: .*not valid before/,
    ],
    [
      'it is for another hop',
      replaced(1, token('manager', 'endpoint')),
      /^tokens-chained: .*token 1/,
    ],
    [
      'it is for nobody',
      replaced(1, token('manager', 'forwarder', { aud: [] })),
      /^tokens-chained: .*nobody/,
    ],
    [
      'it is for two hops',
      replaced(1, token('manager', 'forwarder', { aud: [idOf('forwarder'), idOf('endpoint')] })),
      /^tokens-chained:/,
    ],
    [
      'its subject is another one',
      replaced(1, token('stranger', 'forwarder', {}, 'manager')),
      /^tokens-chained:/,
    ],
    [
      'it is another client’s, replayed',
      replaced(1, token('stranger', 'forwarder')),
      /^tokens-chained:/,
    ],
    [
      'a hop before the caller is dropped',
      [token('client', 'endpoint'), second, own],
      /^tokens-chained:/,
    ],
    ['the caller is dropped', [first, own], /^tokens-chained:/],
    ['hops are exchanged', [second, first, own], /^tokens-chained:/],
    ['a hop is invented', [first, token('stranger', 'manager'), second, own], /^tokens-chained:/],
    [
      'a stranger has signed for the caller',
      replaced(1, token('manager', 'forwarder', {}, 'stranger')),
      /^prev-token-signed: .*signature/,
    ],
  ])('is refused where %s', (_what, tokens, reason) => {
    expect(refusal({ ...asked, tokens, index: tokens.length - 1 })).toMatch(reason);
  });

  test('is refused where the whole way is that of another connection', () => {
    expect(refusal({ ...asked, peer: peer('stranger') })).toMatch(
      /^prev-token-signed: .*signature/,
    );
  });

  test('is refused without a segment of the caller', () => {
    expect(refusal({ ...asked, tokens: [own], index: 0 })).toMatch(/^prev-token-signed:/);
  });

  test('that takes away needs no fresh token but the caller’s', () => {
    const late = { ...asked, tokens: replaced(0, token('client', 'manager', { exp: SECOND - 1 })) };
    for (const op of ['close', 'unregister'] as const)
      expect(refusal({ ...late, op })).toBeUndefined();
    for (const op of ['request', 'register'] as const)
      expect(refusal({ ...late, op })).toMatch(/^tokens-expired:/);
    const expired = replaced(1, token('manager', 'forwarder', { exp: SECOND - 1 }));
    expect(refusal({ ...asked, op: 'close', tokens: expired })).toMatch(/^tokens-expired:/);
  });
});

describe('an answer', () => {
  test('of who has answered is believed', () => {
    expect(refusal(answered)).toBeUndefined();
  });

  test.each<[string, Partial<Question>, RegExp]>([
    [
      'it was signed by somebody else',
      { peer: peer('stranger') },
      /^next-token-signed: .*signature/,
    ],
    ['the next token is missing', { tokens: [first, second] }, /^next-token-signed: .*no segment/],
    [
      'the next token is for somebody else',
      { tokens: [first, second, token('forwarder', 'stranger'), token('endpoint', 'forwarder')] },
      /^tokens-chained:/,
    ],
    [
      'the last one has expired',
      { tokens: [first, second, own, token('endpoint', 'forwarder', { exp: SECOND })] },
      /^tokens-expired: .*token 3/,
    ],
    ['one of them is none', { tokens: [first, second, own, ''] }, /^tokens-valid: .*token 3/],
  ])('is refused where %s', (_what, change, reason) => {
    expect(refusal({ ...answered, ...change })).toMatch(reason);
  });
});

describe('what is there already', () => {
  test.each<Operation>(['request', 'close'])('as a connection: its origin may %s it', (op) => {
    expect(refusal({ ...asked, op, owner: idOf('client') })).toBeUndefined();
    expect(refusal({ ...asked, op, owner: idOf('stranger') })).toMatch(
      /^connection-owned: .*stranger.*client/,
    );
  });

  test.each<Operation>(['register', 'unregister'])('as an entry: its owner may %s it', (op) => {
    const call = { ...asked, op, entry };
    expect(refusal({ ...call, owner: idOf('client') })).toBeUndefined();
    expect(refusal({ ...call, owner: idOf('stranger') })).toMatch(/^client-allowed: .*"web"/);
    expect(refusal({ ...call, owner: idOf('manager') })).toMatch(/^client-allowed:/);
  });

  test('of a time without identities belongs to nobody', () => {
    expect(refusal({ ...asked, owner: 'spiffe://insecure/client' })).toBeUndefined();
  });

  test('is open to admins, with tokens that are as good as anybody’s', () => {
    const options = { admins: [idOf('manager')] };
    expect(refusal({ ...asked, owner: idOf('stranger') }, options)).toBeUndefined();
    expect(
      refusal({ ...asked, owner: idOf('stranger'), tokens: replaced(1, '') }, options),
    ).toMatch(/^tokens-valid:/);
  });

  test('as a connection is everybody’s by the rules of upstream, as an entry it is not', () => {
    const options = { set: 'upstream' } as const;
    expect(refusal({ ...asked, owner: idOf('stranger') }, options)).toBeUndefined();
    expect(refusal({ ...asked, op: 'register', entry, owner: idOf('stranger') }, options)).toMatch(
      /^client-allowed:/,
    );
  });
});

describe('a watcher', () => {
  test('sees the connections whose path it is on', () => {
    const policies = createPolicies();
    for (const name of ['client', 'manager', 'forwarder'] as const)
      expect(policies.sees(idOf(name), asked.tokens)).toBe(true);
    expect(policies.sees(idOf('stranger'), asked.tokens)).toBe(false);
    expect(policies.sees(idOf('stranger'), ['', 'x', second])).toBe(false);
  });

  test('sees all of them as an admin, or by the rules of upstream', () => {
    expect(createPolicies({ admins: [idOf('stranger')] }).sees(idOf('stranger'), [])).toBe(true);
    expect(createPolicies({ set: 'upstream' }).sees(idOf('stranger'), asked.tokens)).toBe(true);
  });
});

test('policies of the user are asked after the built-in ones, of calls and not of answers', () => {
  const more = () => [{ name: 'house-rule', refuses: ({ op }: Question) => `no ${op} here` }];
  expect(refusal(asked, { more })).toMatch(/^house-rule: .*no request here/);
  expect(refusal({ ...asked, tokens: [] }, { more })).toMatch(/^prev-token-signed:/);
  expect(refusal(answered, { more })).toBeUndefined();
});
