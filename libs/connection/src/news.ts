import { State, type Connection } from '@nsm/proto';
import { pathOf } from './path.ts';

/** What became of a connection of this hop. */
export type ConnectionChange =
  /** A request succeeded; `was`: as it was before, undefined where there was none. */
  | {
      readonly type: 'requested';
      readonly connection: Connection;
      readonly was: Connection | undefined;
      readonly reselected: boolean;
    }
  /** Its caller wants another endpoint: what there is will be left. */
  | { readonly type: 'leaving'; readonly connection: Connection }
  /** Its state was changed by what a hop or the kernel tells. */
  | { readonly type: 'state'; readonly connection: Connection; readonly was: Connection }
  | { readonly type: 'closed'; readonly connection: Connection; readonly cause: string };

/** One thing to tell whoever observes; `ms` of heal-end: since heal-start. */
export interface ConnectionNews {
  readonly kind:
    'request' | 'refresh' | 'reselect' | 'heal-start' | 'heal-end' | 'close' | 'expiry';
  readonly client: string;
  readonly connection: string;
  readonly service: string;
  readonly endpoint: string;
  readonly cause?: string;
  readonly ms?: number;
}

/** Why `expire` closes. */
export const EXPIRED = 'its token ended';

interface Healing {
  readonly since: number;
  readonly cause: string;
}

/**
 * What changes of connections mean to a person: told by the first hop behind a client alone, so that it is told once.
 * @param now ms, from any origin
 */
export function connectionNews(
  now: () => number,
  tell: (news: ConnectionNews) => void,
): (change: ConnectionChange) => void {
  const healing = new Map<string, Healing>();
  const start = (connection: Connection, cause: string): void => {
    if (healing.has(connection.id)) return;
    healing.set(connection.id, { since: now(), cause });
    tell({ ...about(connection), kind: 'heal-start', cause });
  };
  const end = (connection: Connection): void => {
    const healed = healing.get(connection.id);
    if (!healed) return;
    healing.delete(connection.id);
    tell({
      ...about(connection),
      kind: 'heal-end',
      cause: healed.cause,
      ms: now() - healed.since,
    });
  };
  return (change) => {
    const { connection } = change;
    if (pathOf(connection).index !== 1) return;
    switch (change.type) {
      case 'leaving':
        start(connection, 'the client found the wire dead');
        return;
      case 'state':
        if (connection.state === State.DOWN)
          start(connection, 'a hop of the path is gone or says DOWN');
        else if (change.was.state === State.DOWN && connection.state === State.UP) end(connection);
        return;
      case 'closed':
        healing.delete(connection.id);
        tell({
          ...about(connection),
          kind: change.cause === EXPIRED ? 'expiry' : 'close',
          cause: change.cause,
        });
        return;
      case 'requested': {
        const kind = change.reselected ? 'reselect' : change.was ? 'refresh' : 'request';
        tell({ ...about(connection), kind });
        end(connection);
      }
    }
  };
}

function about(connection: Connection) {
  const [first] = pathOf(connection).pathSegments;
  return {
    client: first?.name ?? '',
    connection: first?.id ?? '',
    service: connection.networkService,
    endpoint: connection.networkServiceEndpointName,
  };
}
