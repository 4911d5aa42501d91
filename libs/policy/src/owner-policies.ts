import type { TokenReader } from '@nsm/identity';
import type { Policy, Question } from './question.ts';

/** Subjects of tokens that prove nothing: what was made in a mesh without identities belongs to nobody in one that has them. */
const INSECURE = 'spiffe://insecure/';

/** Who a call comes from in the end: the subject of the first token of its way. */
const originOf = ({ tokens, peer }: Question, reader: TokenReader): string => {
  const [token] = tokens;
  return token === undefined ? peer.spiffeId : reader.read(token).sub;
};

/** A name in the registry belongs to the origin of its first registration (upstream's `client_allowed`). */
export const clientAllowed = (reader: TokenReader): Policy => ({
  name: 'client-allowed',
  refuses: (question) => notTheOwner(question, reader, `"${question.entry?.name ?? ''}"`),
});

/** An established connection is refreshed and closed by its origin only, whoever knows its id. */
export const connectionOwned = (reader: TokenReader): Policy => ({
  name: 'connection-owned',
  refuses: (question) => notTheOwner(question, reader, 'the connection of this id'),
});

function notTheOwner(question: Question, reader: TokenReader, what: string): string | undefined {
  const { owner } = question;
  if (owner === undefined || owner.startsWith(INSECURE)) return undefined;
  const origin = originOf(question, reader);
  return owner === origin
    ? undefined
    : `${what} belongs to ${owner}, and this comes from ${origin}`;
}
