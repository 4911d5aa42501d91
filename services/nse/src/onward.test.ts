import { expect, test } from '@jest/globals';
import { Scope, untraced } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { createConnections } from '@nsm/connection';
import { Connection, State } from '@nsm/proto';
import { createMemoryTransport } from '@nsm/rpc';
import { createOnward } from './onward.ts';

test('what becomes of a connection behind an endpoint becomes of it there', async () => {
  const here = createConnections(() => undefined);
  const { connections: behind, peers } = createOnward(
    {
      name: 'firewall',
      transport: createMemoryTransport(),
      clock: createFakeClock(0),
      labels: {},
      managerUrl: 'unix:///manager',
      joints: { join: () => undefined, part: () => undefined, close: () => undefined },
      onUndoFailure: () => undefined,
    },
    here,
  );
  const path = ['caller', 'own', 'client'].map((id) => ({ id, name: id }));
  const establish = (index: number, connections: typeof here) => {
    const id = path[index]?.id ?? '';
    const connection = Connection.fromPartial({ id, path: { index, pathSegments: path } });
    const call = { scope: new Scope(), signal: new AbortController().signal, trace: untraced };
    const rest = { op: 'request' as const, preferences: [], token: undefined, deadline: undefined };
    return connections.request({ ...call, ...rest, connection }, async () => connection);
  };
  await establish(1, here);
  await establish(2, behind);
  for (const state of [State.DOWN, State.UP]) {
    behind.update('client', (connection) => ({ ...connection, state }));
    expect(here.get('own')?.state).toBe(state);
  }
  peers.close();
});
