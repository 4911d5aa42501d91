import { createHmac, sign } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { createAuthority } from '@nsm/identity/authority';
import type { NsmError } from '@nsm/rpc';
import { createPolicies } from './policies.ts';
import type { Question } from './question.ts';

const PATHS = 100_000;
const SEED = 20_260_101;
const NOW = 1_767_225_600; // seconds

const names = ['a', 'b', 'c', 'd', 'e'];
const authority = createAuthority('nsm.test', 86_400_000, createFakeClock(NOW * 1_000));
const identities = names.map((name) => authority.issue(`spiffe://nsm.test/${name}`, 3_600_000));
const idOf = (k: number): string => identities[k]!.spiffeId;

/** A token with what is true of it, as it was made and not as anybody reads it. */
interface Made {
  readonly text: string;
  readonly jwt: boolean;
  readonly es256: boolean;
  readonly sub: string;
  readonly aud: readonly string[];
  readonly exp: number | undefined;
  /** Whose key has signed it. */
  readonly signer: number | undefined;
}

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function makeToken(of: number, to: number, change: Partial<Made> & { alg?: string } = {}): Made {
  const { alg = 'ES256', sub = idOf(of), aud = [idOf(to)], signer = of } = change;
  const exp = 'exp' in change ? change.exp : NOW + 600;
  const head = `${json({ alg, typ: 'JWT' })}.${json({ sub, aud, exp })}`;
  const key = identities[signer]!.privateKey;
  const signature =
    alg === 'HS256'
      ? createHmac(
          'sha256',
          identities[signer]!.certificates[0].publicKey.export({ type: 'spki', format: 'pem' }),
        )
          .update(head)
          .digest()
      : alg === 'none'
        ? Buffer.of()
        : sign('sha256', Buffer.from(head), { key, dsaEncoding: 'ieee-p1363' });
  const text = `${head}.${signature.toString('base64url')}`;
  return { text, jwt: true, es256: alg === 'ES256', sub, aud, exp, signer };
}

const good = names.map((_, of) => names.map((__, to) => makeToken(of, to)));
const bad: readonly Made[] = names.flatMap((_, of) =>
  names.flatMap((__, to) => {
    const third = (of + to + 1) % names.length;
    const ok = good[of]![to]!;
    return [
      makeToken(of, to, { exp: NOW - 1 }),
      makeToken(of, to, { exp: NOW }),
      makeToken(of, to, { exp: undefined }),
      makeToken(of, to, { signer: third }),
      makeToken(of, to, { sub: idOf(third) }),
      makeToken(of, to, { aud: [] }),
      makeToken(of, to, { aud: [idOf(to), idOf(third)] }),
      makeToken(of, to, { alg: 'none' }),
      makeToken(of, to, { alg: 'HS256' }),
      { ...ok, text: ok.text.slice(0, -8), signer: undefined },
      { ...ok, text: 'not.a', jwt: false },
      { ...ok, text: '', jwt: false },
    ];
  }),
);

/** mulberry32 */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

interface Generated {
  readonly op: 'request' | 'close';
  readonly tokens: readonly Made[];
  readonly index: number;
  readonly peer: number;
}

/** A walk of hops whose tokens are right, spoilt in up to two places. */
function generate(below: (n: number) => number): Generated {
  const hops = Array.from({ length: 1 + below(7) }, () => below(names.length));
  const last = hops.length - 1;
  const tokens = hops.map((hop, k) => good[hop]![hops[k + 1] ?? hops[k - 1] ?? hop]!);
  for (let spoilt = below(3); spoilt > 0; spoilt -= 1) {
    const at = below(tokens.length);
    switch (below(6)) {
      case 0:
        tokens.splice(at, 1);
        break;
      case 1:
        tokens.splice(at, 0, good[below(5)]![below(5)]!);
        break;
      case 2:
        tokens.splice(at, 2, ...tokens.slice(at, at + 2).reverse());
        break;
      case 3:
        tokens[at] = good[below(5)]![below(5)]!;
        break;
      default:
        tokens[at] = bad[below(bad.length)]!;
    }
    if (tokens.length === 0) tokens.push(good[0]![1]!);
  }
  return {
    op: below(4) === 0 ? 'close' : 'request',
    tokens,
    index: tokens.length - 1,
    peer: below(10) === 0 ? below(5) : (hops[last - 1] ?? below(5)),
  };
}

/** The rules of contract 2.10, said of what is true of the tokens. Of a close ours want no fresh tokens but the caller's. */
function contractAllows({ op, tokens, index, peer }: Generated): boolean {
  const valid = tokens.every(({ jwt }) => jwt);
  const fresh = tokens.every(
    ({ exp }, k) => (op === 'close' && k < index - 1) || (exp !== undefined && NOW < exp),
  );
  const chained = tokens.every(({ aud }, k) => {
    const next = tokens[k + 1];
    return next === undefined || (aud.includes(next.sub) && new Set(aud).size === 1);
  });
  const previous = tokens[index - 1];
  return valid && fresh && chained && previous?.es256 === true && previous.signer === peer;
}

/** What ours want besides: every token is of ES256 and has an expiry, and the caller's is of the caller. */
const weDemandMore = ({ tokens, index, peer }: Generated): boolean =>
  tokens.every(({ es256, exp }) => es256 && exp !== undefined) &&
  tokens[index - 1]?.sub === idOf(peer);

test(`of ${PATHS.toLocaleString('en')} generated paths none is accepted that the contract refuses, and all that it accepts for good`, () => {
  const below = randomFrom(SEED);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // most are refused
  const policies = createPolicies({ set: 'upstream' });
  const peers = identities.map(({ spiffeId, certificates: [certificate] }) => ({
    spiffeId,
    certificate,
    notAfter: Date.parse(certificate.validTo),
  }));
  const counts = new Map<string, number>();
  const wrong: object[] = [];
  for (let n = 0; n < PATHS; n += 1) {
    const path = generate(below);
    const question: Question = {
      op: path.op,
      peer: peers[path.peer]!,
      tokens: path.tokens.map(({ text }) => text),
      index: path.index,
      now: NOW * 1_000,
    };
    let verdict = 'accepted';
    try {
      policies.check(question);
    } catch (err) {
      verdict = (err as NsmError).policy ?? String(err);
    }
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const allowed = contractAllows(path);
    if (verdict === 'accepted' ? !allowed : allowed && weDemandMore(path))
      wrong.push({ verdict, ...path });
  }
  Error.stackTraceLimit = stackTraceLimit;
  expect(wrong.slice(0, 3)).toEqual([]);
  // Every rule has had its say.
  for (const verdict of [
    'accepted',
    'tokens-valid',
    'tokens-expired',
    'tokens-chained',
    'prev-token-signed',
  ])
    expect(counts.get(verdict)).toBeGreaterThan(PATHS / 1_000);
});
