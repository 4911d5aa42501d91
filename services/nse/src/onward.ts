import type { Clock } from '@nsm/chain';
import {
  callerSegment,
  createConnections,
  createPeers,
  type Connections,
  type OnUndoFailure,
} from '@nsm/connection';
import type { Joints } from '@nsm/datapath';
import type { Transport } from '@nsm/rpc';
import { clientName, type Onward } from './chain.ts';

export interface OnwardOptions {
  readonly name: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly labels: Readonly<Record<string, string>>;
  readonly managerUrl: string;
  readonly joints: Joints;
  readonly onUndoFailure: OnUndoFailure;
}

/** The client of an endpoint that others stand behind: what becomes of a connection there becomes of it here. */
export function createOnward(
  { name, transport, clock, labels, managerUrl, joints, onUndoFailure }: OnwardOptions,
  here: Pick<Connections, 'update'>,
): Onward {
  const connections = createConnections(onUndoFailure, (change) => {
    const own = change.type === 'state' ? callerSegment(change.connection)?.id : undefined;
    const { state } = change.connection;
    if (own !== undefined) here.update(own, (connection) => ({ ...connection, state }));
  });
  const peers = createPeers({ name: clientName(name), dialer: transport, connections, clock });
  return { labels, managerUrl, joints, dialer: transport, connections, peers };
}
