import { millis } from '@nsm/identity';
import type { Connection, Path, PathSegment } from '@nsm/proto';

/** The path of a connection; a missing one is empty. */
export const pathOf = (connection: Connection): Path =>
  connection.path ?? { index: 0, pathSegments: [] };

/** The segment of the hop that holds the connection. */
export const ownSegment = (connection: Connection): PathSegment | undefined => {
  const { index, pathSegments } = pathOf(connection);
  return pathSegments[index];
};

/** The segment of its caller; undefined at the origin. */
export const callerSegment = (connection: Connection): PathSegment | undefined => {
  const { index, pathSegments } = pathOf(connection);
  return pathSegments[index - 1];
};

/** The connection with one segment of its path changed. */
export function withSegment(
  connection: Connection,
  at: number,
  change: Partial<PathSegment>,
): Connection {
  const path = pathOf(connection);
  const pathSegments = path.pathSegments.map((segment, i) =>
    i === at ? { ...segment, ...change } : segment,
  );
  return { ...connection, path: { ...path, pathSegments } };
}

/** When the first token of a path ends, in ms since 1970 (contract 2.5: a missing expiry counts as 1970). */
export function firstExpiry(connection: Connection): number {
  const { pathSegments } = pathOf(connection);
  return pathSegments.length === 0
    ? 0
    : Math.min(...pathSegments.map(({ expires }) => millis(expires)));
}
