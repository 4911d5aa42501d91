import type { Entry, Kind } from './kind.ts';

/** Records by name and by group, for lookups that do not scan. */
export interface NameIndex<T> {
  get(name: string): T | undefined;
  set(entry: T): void;
  /** Returns what was there. */
  delete(name: string): T | undefined;
  /** How many have this as their first `path_id`. */
  ownedBy(owner: string): number;
  /** Those that pass a query, in no order. */
  query(query: T): readonly T[];
  values(): readonly T[];
}

export function createIndex<T extends Entry>(kind: Kind<T>): NameIndex<T> {
  const byName = new Map<string, T>();
  const byGroup = new Map<string, Set<string>>();
  const owned = new Map<string, number>();

  const count = ({ pathIds: [owner = ''] }: T, more: number): void => {
    const now = (owned.get(owner) ?? 0) + more;
    if (now === 0) owned.delete(owner);
    else owned.set(owner, now);
  };

  const remove = (name: string): T | undefined => {
    const was = byName.get(name);
    if (was === undefined) return undefined;
    byName.delete(name);
    count(was, -1);
    for (const group of kind.groups(was)) {
      const members = byGroup.get(group);
      members?.delete(name);
      if (members?.size === 0) byGroup.delete(group);
    }
    return was;
  };

  const candidates = (query: T): Iterable<T | undefined> => {
    if (query.name !== '') return [byName.get(query.name)];
    const [group] = kind.groups(query);
    if (group === undefined) return byName.values();
    return [...(byGroup.get(group) ?? [])].map((name) => byName.get(name));
  };

  return {
    get: (name) => byName.get(name),
    set: (entry) => {
      remove(entry.name);
      byName.set(entry.name, entry);
      count(entry, 1);
      for (const group of kind.groups(entry)) {
        const members = byGroup.get(group) ?? new Set();
        byGroup.set(group, members.add(entry.name));
      }
    },
    delete: remove,
    ownedBy: (owner) => owned.get(owner) ?? 0,
    query: (query) => {
      const found: T[] = [];
      for (const entry of candidates(query))
        if (entry !== undefined && kind.matches(query, entry)) found.push(entry);
      return found;
    },
    values: () => [...byName.values()],
  };
}
