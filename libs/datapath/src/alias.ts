import type { Side } from './plan.ts';

/**
 * Every link carries who it belongs to as its alias: `nsm:<connection id>/<side>`, and `@<owner>` where the plan names one.
 * It is all that is left after a restart. The kernel allows 255 bytes (IFALIASZ).
 */
export interface Mark {
  readonly id: string;
  readonly side: Side;
  readonly owner?: string;
}

/** Removed links wait in this group for the reaper: the letters NSM as a number, which nobody else uses by accident. */
export const REAPER_GROUP = 0x4e534d;

/** What the alias of every link of the mesh begins with. */
export const ALIAS_PREFIX = 'nsm:';

const TOMBSTONE = 'nsm~';

/** The alias text of a mark. */
export const formatAlias = ({ id, side, owner }: Mark): string =>
  `${ALIAS_PREFIX}${id}/${side}${owner === undefined || owner === '' ? '' : `@${owner}`}`;

/** Reads an alias; undefined when it is none of ours. */
export function parseAlias(alias: string): Mark | undefined {
  const match = /^nsm:(.+)\/(client|endpoint)(?:@(.+))?$/s.exec(alias);
  if (match?.[1] === undefined) return undefined;
  const side = match[2] === 'client' ? 'client' : 'endpoint';
  return { id: match[1], side, ...(match[3] === undefined ? {} : { owner: match[3] }) };
}

/** Whether a link with this alias is this end of this connection, whoever made it. */
export function isMarked(alias: string, { id, side }: Mark): boolean {
  const mark = parseAlias(alias);
  return mark?.id === id && mark.side === side;
}

/** The name of a removed link, unique in its namespace as the index is. */
export const tombstoneName = (index: number): string => `${TOMBSTONE}${index.toString(36)}`;

/** Whether a name is that of a removed link. */
export const isTombstone = (name: string): boolean => name.startsWith(TOMBSTONE);
