import { createTokenReader, TokenError, type TokenReader } from '@nsm/identity';
import { NsmError, type Identity } from '@nsm/rpc';
import { clientAllowed, connectionOwned } from './owner-policies.ts';
import type { Operation, Policy, Question } from './question.ts';
import {
  nextTokenSigned,
  prevTokenSigned,
  tokensChained,
  tokensExpired,
  tokensSigned,
  tokensValid,
} from './token-policies.ts';

/**
 * `upstream`: the rules of contract 2.10 and no others; `strict`: and those of ours where it leaves gaps; `closed`: and no token without
 * the certificates of its signer, which upstream's do not carry.
 */
export const policySets = ['strict', 'upstream', 'closed'] as const;
export type PolicySet = (typeof policySets)[number];

/** Decides who may do what. */
export interface Policies {
  /** @throws NsmError permission-denied with the name of the policy that refuses, and its reason */
  check(question: Question): void;
  /** Whether an identity may see a connection with these tokens in its path. */
  sees(spiffeId: string, tokens: readonly string[]): boolean;
}

export interface PolicyOptions {
  /** @default strict */
  readonly set?: PolicySet;
  /** The authorities that tokens with certificates are held against, as they are now. @default none is known */
  readonly bundles?: () => Identity['bundles'];
  /** SPIFFE ids that may see every connection and change every connection and entry; the tokens they bring are judged all the same. */
  readonly admins?: readonly string[];
  /** Those of the user, asked after the built-in ones. @default none */
  readonly more?: () => readonly Policy[];
}

type Rules = Readonly<Record<Operation, readonly Policy[]>>;

/** What is asked at which point, in this order; the first refusal counts. */
function rulesOf(set: PolicySet, reader: TokenReader, bundles: () => Identity['bundles']): Rules {
  const common = [tokensValid(reader), tokensExpired(reader), tokensChained(reader)];
  const signed = set === 'upstream' ? [] : [tokensSigned(reader, bundles, set === 'closed')];
  const connection = [
    ...common,
    prevTokenSigned(reader),
    ...signed,
    ...(set === 'upstream' ? [] : [connectionOwned(reader)]),
  ];
  const registry = [...common, prevTokenSigned(reader), ...signed, clientAllowed(reader)];
  return {
    request: connection,
    close: connection,
    register: registry,
    unregister: registry,
    monitor: [],
    answer: [...common, nextTokenSigned(reader), ...signed],
  };
}

const NOBODY: Identity['bundles'] = new Map();

/** The built-in rules and those of the user. */
export function createPolicies({
  set = 'strict',
  bundles = () => NOBODY,
  admins = [],
  more = () => [],
}: PolicyOptions = {}): Policies {
  const reader = createTokenReader();
  const rules = rulesOf(set, reader, bundles);
  const all = new Set(admins);
  return {
    check: (given) => {
      const question = all.has(given.peer.spiffeId) ? { ...given, owner: undefined } : given;
      ask(rules[question.op], question);
      if (question.op !== 'answer') ask(more(), question);
    },
    sees: (spiffeId, tokens) =>
      set === 'upstream' ||
      all.has(spiffeId) ||
      tokens.some((token) => subjectOf(token, reader) === spiffeId),
  };
}

function ask(policies: readonly Policy[], question: Question): void {
  for (const policy of policies) {
    const reason = policy.refuses(question);
    // Upstream's words first (contract 2.10): peers look for them.
    if (reason !== undefined)
      throw new NsmError(
        'permission-denied',
        `no sufficient privileges: ${policy.name}: ${reason}`,
        { policy: policy.name },
      );
  }
}

function subjectOf(token: string, reader: TokenReader): string | undefined {
  try {
    return reader.read(token).sub;
  } catch (err) {
    if (err instanceof TokenError) return undefined;
    throw err;
  }
}
