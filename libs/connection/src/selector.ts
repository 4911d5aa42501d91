import type { Connection, MonitorScopeSelector, PathSegment } from '@nsm/proto';
import { pathOf } from './path.ts';

/** Whether a monitor selector takes a connection (contract 3.5): empty takes all; segments match a contiguous run of the path. */
export function selects({
  pathSegments,
  networkServices,
}: MonitorScopeSelector): (connection: Connection) => boolean {
  return (connection) => {
    if (networkServices.length > 0 && !networkServices.includes(connection.networkService))
      return false;
    const path = pathOf(connection).pathSegments;
    if (pathSegments.length === 0) return true;
    return path.some((_, start) =>
      pathSegments.every((wanted, i) => matches(path[start + i], wanted)),
    );
  };
}

/** Empty fields are wildcards. */
const matches = (segment: PathSegment | undefined, { name, id, token }: PathSegment): boolean =>
  segment !== undefined &&
  (name === '' || segment.name === name) &&
  (id === '' || segment.id === id) &&
  (token === '' || segment.token === token);
