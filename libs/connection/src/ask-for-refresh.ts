import { State } from '@nsm/proto';
import type { Connections } from './connections.ts';

/** Asks all clients to request again, as what they are given has changed (contract 1.3, REFRESH_REQUESTED): hops pass it on to them. */
export function askForRefresh(connections: Connections): void {
  for (const { id } of connections.list())
    connections.update(id, (connection) => ({ ...connection, state: State.REFRESH_REQUESTED }));
}
