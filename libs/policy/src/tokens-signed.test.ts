import { sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { svidTokens } from '@nsm/identity';
import { createAuthority } from '@nsm/identity/authority';
import { heldIdentity } from '@nsm/identity/testing';
import type { NsmError, Identity } from '@nsm/rpc';
import { createPolicies, type PolicySet } from './policies.ts';
import type { Question } from './question.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const HOUR = 3_600_000;
const clock = createFakeClock(NOW);
const authority = createAuthority('nsm.test', 24 * HOUR, clock);
const issue = (name: string, of = authority): Identity =>
  of.issue(`spiffe://nsm.test/${name}`, HOUR);
const [client, manager, forwarder, endpoint] = ['client', 'manager', 'forwarder', 'endpoint'].map(
  (name) => issue(name),
) as [Identity, Identity, Identity, Identity];

const signed = async (of: Identity, to: Identity, certificates = true): Promise<string> => {
  const tokens = svidTokens(heldIdentity(of, clock), HOUR / 6, clock, { certificates });
  return (await tokens.issue({ spiffeId: to.spiffeId })).token;
};
const bare = (of: Identity, to: Identity): Promise<string> => signed(of, to, false);

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
/** What the forwarder makes up: a token that says it is of the client. */
const forged = (header: object, claims: object = {}): string => {
  const said = { sub: client.spiffeId, aud: [manager.spiffeId], exp: NOW / 1_000 + 600, ...claims };
  const text = `${json({ alg: 'ES256', typ: 'JWT', ...header })}.${json(said)}`;
  const key = { key: forwarder.privateKey, dsaEncoding: 'ieee-p1363' as const };
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
};
const chainOf = ({ certificates }: Identity): string[] =>
  certificates.map(({ raw }) => raw.toString('base64'));

/** What an endpoint is asked by the forwarder, with this token of the client. */
const asked = async (first: string): Promise<Question> => {
  const [certificate] = forwarder.certificates;
  return {
    op: 'request',
    peer: { spiffeId: forwarder.spiffeId, certificate, notAfter: NOW + HOUR },
    tokens: [
      first,
      await signed(manager, forwarder),
      await bare(forwarder, endpoint),
      await bare(endpoint, forwarder),
    ],
    index: 3,
    now: NOW,
  };
};

function refusal(question: Question, set: PolicySet): string | undefined {
  try {
    createPolicies({ set, bundles: () => client.bundles }).check(question);
    return undefined;
  } catch (err) {
    return `${(err as NsmError).policy}: ${(err as NsmError).message}`;
  }
}

describe('a token further up than the caller’s', () => {
  test('is accepted with the certificates of its signer', async () => {
    const question = await asked(await signed(client, manager));
    for (const set of ['strict', 'closed', 'upstream'] as const)
      expect(refusal(question, set)).toBeUndefined();
  });

  test('is accepted without them, as upstream’s are, but not in a closed mesh', async () => {
    const question = await asked(await bare(client, manager));
    for (const set of ['strict', 'upstream'] as const)
      expect(refusal(question, set)).toBeUndefined();
    expect(refusal(question, 'closed')).toMatch(/^tokens-signed: .*token 0: it does not carry/);
  });

  const other = createAuthority('nsm.test', 24 * HOUR, clock);
  test.each<[string, () => string | Promise<string>, RegExp]>([
    [
      'is signed by another hop, which carries its own certificates',
      () => forged({ x5c: chainOf(forwarder) }),
      /is of ".*client", and .*forwarder has signed it/,
    ],
    [
      'is signed by another hop, with the certificates of whom it is said to be of',
      () => forged({ x5c: chainOf(client) }),
      /signature is not that/,
    ],
    [
      'carries certificates of an authority of the same name',
      () => signed(issue('client', other), manager),
      /certificates prove nothing: .*not from its trust domain/,
    ],
    [
      'lasts longer than its certificates',
      () => forged({ x5c: chainOf(client) }, { exp: NOW / 1_000 + 2 * 3_600 }),
      /a certificate ends before it/,
    ],
    ['carries something else', () => forged({ x5c: ['AAAA'] }), /certificates prove nothing/],
  ])('is refused where it %s', async (_what, first, reason) => {
    const question = await asked(await first());
    for (const set of ['strict', 'closed'] as const) {
      expect(refusal(question, set)).toMatch(/^tokens-signed: .*token 0/);
      expect(refusal(question, set)).toMatch(reason);
    }
    expect(refusal(question, 'upstream')).toBeUndefined();
  });

  test.each<[string, unknown]>([
    ['no list', 'x'],
    ['an empty list', []],
    ['a list of other things', [1]],
    ['a list of too many', Array.from({ length: 9 }, () => 'AAAA')],
  ])('is no token where its certificates are %s', async (_what, x5c) => {
    expect(refusal(await asked(forged({ x5c })), 'strict')).toMatch(/^tokens-valid: .*x5c/);
  });

  test('is held against the authorities of the moment', async () => {
    const question = await asked(await signed(client, manager));
    let bundles = client.bundles;
    const policies = createPolicies({ bundles: () => bundles });
    policies.check(question);
    bundles = new Map([['nsm.test', [other.certificate]]]);
    expect(() => policies.check(question)).toThrow(/prove nothing/);
  });
});

test('tokens of an answer are held to the same, those of the two ends of the connection are not', async () => {
  const [certificate] = endpoint.certificates;
  const answered = async (first: string): Promise<Question> => ({
    op: 'answer',
    peer: { spiffeId: endpoint.spiffeId, certificate, notAfter: NOW + HOUR },
    tokens: [first, await bare(forwarder, endpoint), await bare(endpoint, forwarder)],
    index: 1,
    now: NOW,
  });
  const aud = { aud: [forwarder.spiffeId] };
  expect(refusal(await answered(await signed(client, forwarder)), 'closed')).toBeUndefined();
  expect(refusal(await answered(forged({}, aud)), 'closed')).toMatch(/^tokens-signed/);
});
