import type { Connection } from '@nsm/proto';

/** Ids of connections by the id of the first segment of their paths, which stays the same as long as a connection lives. */
export interface Origins {
  add(id: string, connection: Connection): void;
  remove(id: string, connection: Connection): void;
  of(origin: string): readonly string[];
}

export function createOrigins(): Origins {
  const ids = new Map<string, Set<string>>();
  return {
    add: (id, connection) => {
      const origin = originOf(connection);
      const same = ids.get(origin) ?? new Set();
      ids.set(origin, same.add(id));
    },
    remove: (id, connection) => {
      const origin = originOf(connection);
      const same = ids.get(origin);
      same?.delete(id);
      if (same?.size === 0) ids.delete(origin);
    },
    of: (origin) => [...(ids.get(origin) ?? [])],
  };
}

const originOf = ({ path }: Connection): string => path?.pathSegments[0]?.id ?? '';
