import { NsmError } from '@nsm/rpc';

/**
 * Tries candidates until one succeeds. A failed one has left nothing behind. When all fail, the error tells each one's
 * reason; its code and origin are those of the only candidate, or the most telling of several.
 */
export async function tryEach<T extends { readonly name: string }, R>(
  candidates: readonly T[],
  texts: { readonly what: string; readonly none: string },
  attempt: (candidate: T) => Promise<R>,
): Promise<R> {
  const failures: NsmError[] = [];
  for (const [i, candidate] of candidates.entries()) {
    try {
      return await attempt(candidate);
    } catch (err) {
      const failure = NsmError.from(err);
      failures.push(failure);
      if (failure.code === 'cancelled' || failure.code === 'deadline') break;
      if (i === candidates.length - 1) break;
    }
  }
  const told = failures.map(
    (failure, i) =>
      `${i}. An error during select ${texts.what} ${candidates[i]?.name ?? ''} --> ${failure.message}`,
  );
  const telling = failures.find(({ code }) => code !== 'unavailable') ?? failures[0];
  throw new NsmError(
    telling?.code ?? 'no-candidate',
    `${told.join('; ')}: ${texts.none}`,
    telling?.fields(new AggregateError(failures)) ?? {},
  );
}
