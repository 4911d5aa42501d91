import { NsmError } from '@nsm/rpc';

/** The way a registration took (contract 2.9): one token per hop, and which hop holds it. */
export interface RegistryPath {
  readonly index: number;
  readonly tokens: readonly string[];
}

/** Metadata key of the path, on requests and in the initial headers of responses. */
export const PATH_HEADER = 'path';

/** The path of a registration that has not been anywhere yet. */
export const emptyPath: RegistryPath = { index: 0, tokens: [] };

/** A path as it goes into metadata (contract 1.7). */
export const formatPath = ({ index, tokens }: RegistryPath): string =>
  JSON.stringify({
    Index: index,
    PathSegments: tokens.length === 0 ? null : tokens.map((token) => ({ token })),
  });

/** Reads a path from metadata; fails with `invalid-argument`. */
export function parsePath(header: string): RegistryPath {
  const path = parsed(header);
  if (typeof path !== 'object' || path === null || Array.isArray(path))
    throw malformed('it is no JSON object');
  const { Index = 0, PathSegments = null } = path as { Index?: unknown; PathSegments?: unknown };
  if (!Number.isInteger(Index) || (Index as number) < 0 || (Index as number) > 0xffff_ffff)
    throw malformed('Index is no unsigned 32-bit number');
  if (PathSegments !== null && !Array.isArray(PathSegments))
    throw malformed('PathSegments is no list');
  const tokens = (PathSegments ?? []).map((segment: unknown) => {
    const { token = '' } = (segment ?? {}) as { token?: unknown };
    if (typeof token !== 'string') throw malformed('a token is no text');
    return token;
  });
  return { index: Index as number, tokens };
}

function parsed(header: string): unknown {
  try {
    return JSON.parse(header);
  } catch (cause) {
    throw malformed('it is no JSON', cause);
  }
}

const malformed = (why: string, cause?: unknown): NsmError =>
  new NsmError('invalid-argument', `path: malformed metadata: ${why}`, {
    cause,
    hint: 'send {"Index":0,"PathSegments":null} on a first call and what came back on later ones',
  });
