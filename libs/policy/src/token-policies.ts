import { TokenError, type TokenReader } from '@nsm/identity';
import type { Identity } from '@nsm/rpc';
import { isEnding, type Policy, type Question } from './question.ts';

/** Every token of the way is an ES256 JWT with subject, audience and expiry. */
export const tokensValid = (reader: TokenReader): Policy => ({
  name: 'tokens-valid',
  refuses: ({ tokens }) =>
    first(tokens, (token, k) =>
      fault(() => {
        reader.read(token);
      }, `token ${k}`),
    ),
});

/**
 * No token of the way has expired. Of what only takes away, no more than the caller's has to be fresh: a hop that cleans up on its
 * own has no newer ones of those before it.
 */
export const tokensExpired = (reader: TokenReader): Policy => ({
  name: 'tokens-expired',
  refuses: (question) =>
    first(question.tokens, (token, k) => {
      if (isEnding(question) && k < question.index - 1) return undefined;
      const { exp } = reader.read(token);
      return exp * 1_000 > question.now
        ? undefined
        : `token ${k} has expired at ${new Date(exp * 1_000).toISOString()}`;
    }),
});

/** Each token of the way is meant for the hop that has signed the next one. */
export const tokensChained = (reader: TokenReader): Policy => ({
  name: 'tokens-chained',
  refuses: ({ tokens }) =>
    first(tokens.slice(1), (token, k) => {
      const { aud } = reader.read(tokens[k] ?? '');
      const { sub } = reader.read(token);
      if (aud.length > 0 && aud.every((id) => id === sub)) return undefined;
      return `token ${k} is meant for ${aud.join(', ') || 'nobody'}, and token ${k + 1} is of ${sub}`;
    }),
});

/** The caller has a segment of its own in the way, and has signed the token there with the key of its certificate. */
export const prevTokenSigned = (reader: TokenReader): Policy => ({
  name: 'prev-token-signed',
  refuses: ({ index, tokens, peer, now }) => {
    if (index < 1) return 'the path has no segment of the caller before that of this hop';
    return fault(() => reader.verify(tokens[index - 1] ?? '', peer, now), `token ${index - 1}`);
  },
});

/** Who answers has signed the token of its segment, the next one, with the key of its certificate. */
export const nextTokenSigned = (reader: TokenReader): Policy => ({
  name: 'next-token-signed',
  refuses: ({ index, tokens, peer, now }) => {
    const next = tokens[index + 1];
    if (next === undefined) return 'the answer has no segment of who has answered';
    // A server that changes its certificate may have answered on another connection than the one it was asked on.
    const reasons = [peer, ...(peer.later?.() ?? [])].map((server) =>
      fault(() => reader.verify(next, server, now), `token ${index + 1}`),
    );
    return reasons.includes(undefined) ? undefined : reasons[0];
  },
});

/**
 * The tokens of hops that are neither at the other end of the connection nor this one are signed with certificates that they carry, as
 * far as they carry any (contract 2.4 knows of none); `all`: each of them has to.
 */
export const tokensSigned = (
  reader: TokenReader,
  bundles: () => Identity['bundles'],
  all: boolean,
): Policy => ({
  name: 'tokens-signed',
  refuses: ({ op, index, tokens }) =>
    first(tokens, (token, k) => {
      if (k === index || k === (op === 'answer' ? index + 1 : index - 1)) return undefined;
      if (!all && reader.read(token).x5c === undefined) return undefined;
      return fault(() => reader.prove(token, bundles()), `token ${k}`);
    }),
});

function first(
  tokens: Question['tokens'],
  judge: (token: string, k: number) => string | undefined,
): string | undefined {
  for (const [k, token] of tokens.entries()) {
    const reason = judge(token, k);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function fault(read: () => void, what: string): string | undefined {
  try {
    read();
    return undefined;
  } catch (err) {
    if (err instanceof TokenError) return `${what}: ${err.message}`;
    throw err;
  }
}
