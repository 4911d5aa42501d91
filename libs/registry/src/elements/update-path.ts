import { callerOf, subjectOf, type TokenSource } from '@nsm/identity';
import { NsmError, wrapped } from '@nsm/rpc';
import type { RegistryElement } from '../call.ts';
import type { Entry } from '../kind.ts';
import type { RegistryPath } from '../registry-path.ts';

/** Longest path that is taken where nobody says otherwise. */
const MAX_PATH = 64;

/**
 * Puts the caller's token and this hop's own into the path, and the subjects of all so far into `path_ids`, whatever the caller has
 * said; on the way back the path is the caller's again (contract 2.9). Without a token of the caller its part is left as it came.
 */
export const updatePath = <T extends Entry>(
  tokens: TokenSource,
  maxPath = MAX_PATH,
): RegistryElement<T> => ({
  name: 'update-path',
  run: async (call, next) => {
    const { token, peer } = call;
    if (call.path.tokens.length > maxPath)
      throw new NsmError(
        'exhausted',
        `path: ${call.path.tokens.length} segments; at most ${maxPath} are taken`,
        { limit: 'path' },
      );
    const own = await tokens.issue(callerOf(peer, token)).catch((err: unknown) => {
      throw wrapped('an error during generating token', err);
    });
    const path = extended(call.path, token?.token, own.token);
    const pathIds = path.tokens
      .slice(0, path.index + 1)
      .reduce(
        (ids, each, at) => withId(ids, at, subjectOf(each) ?? ids[at] ?? ''),
        call.entry.pathIds,
      );
    const result = await next({ ...call, entry: { ...call.entry, pathIds }, path, own });
    return { ...result, path: { ...result.path, index: path.index - 1 } };
  },
});

function extended(
  { index, tokens }: RegistryPath,
  callerToken: string | undefined,
  ownToken: string,
): RegistryPath {
  if (tokens.length === 0) return { index: 1, tokens: [callerToken ?? '', ownToken] };
  if (index + 1 > tokens.length)
    throw new NsmError(
      'invalid-argument',
      `path: Path.Index+1==${index + 1} should be less or equal len(Path.PathSegments)==${tokens.length}`,
    );
  const updated = [...tokens];
  if (callerToken !== undefined) updated[index] = callerToken;
  updated[index + 1] = ownToken;
  return { index: index + 1, tokens: updated };
}

/** `ids` with one of them set; past the end it is appended. */
const withId = (ids: readonly string[], at: number, id: string): string[] =>
  at < ids.length ? ids.map((was, i) => (i === at ? id : was)) : [...ids, id];
