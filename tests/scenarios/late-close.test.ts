import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { svidTokens, tokenHeaders } from '@nsm/identity';
import {
  ConnectionEventType,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceRequest,
} from '@nsm/proto';
import { ADMIN, startSecure, type Secure } from '../worlds/secure.ts';

let mesh: Secure;
beforeAll(async () => {
  mesh = await startSecure();
});
afterAll(() => mesh.stop());

test('a wire nobody refreshes is taken down at every hop, by closes whose first token has expired', async () => {
  const client = mesh.party('client');
  const admin = mesh.party(ADMIN.split('/').at(-1) ?? '');
  /** When the hop has let go of its connection, in ms since 1970. */
  const left = async (url: string): Promise<number> => {
    const monitor = admin.transport.client(MonitorConnectionDefinition, url);
    for await (const { type } of monitor.monitorConnections(MonitorScopeSelector.create()))
      if (type === ConnectionEventType.DELETE) return Date.now();
    throw new Error('the stream has ended');
  };
  const { manager, forwarder, endpoint } = mesh.urls;
  const leaving = Promise.all([manager, forwarder, endpoint].map(left));
  const { token, expires } = await svidTokens(client.source, 5_000, systemClock).issue({
    spiffeId: 'spiffe://nsm.test/manager',
  });
  // Without a deadline the close begins when the token has ended, and not before.
  await client.transport.client(NetworkServiceDefinition, manager).request(
    NetworkServiceRequest.fromPartial({
      mechanismPreferences: [
        { cls: 'LOCAL', type: 'KERNEL', parameters: { name: 'nsm-1', inodeURL: 'inode://1/1' } },
      ],
      connection: {
        id: 'c-0',
        networkService: 'svc',
        path: { index: 0, pathSegments: [{ name: 'client', id: 'c-0' }] },
      },
    }),
    { headers: tokenHeaders({ token, expires }) },
  );
  const times = await leaving;
  expect(Math.min(...times)).toBeGreaterThanOrEqual(expires.seconds * 1_000);
  expect(mesh.connections.list()).toEqual([]);
  expect(mesh.datapath.show().filter((line) => / link add /.test(line))).toEqual([]);
});
