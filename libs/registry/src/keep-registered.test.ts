import { expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { NetworkServiceEndpoint } from '@nsm/proto';
import { keepRegistered } from './keep-registered.ts';
import { endpointKind } from './kind.ts';
import { toTimestamp } from './timestamp.ts';

test.each([
  [60_000, 40_000],
  [12_000, 7_000],
  [6_000, 2_000],
])('an entry that lasts for %d ms is registered again after %d', async (lifetime, due) => {
  const clock = createFakeClock();
  const registered: number[] = [];
  const started = clock.now();
  const client: Parameters<typeof keepRegistered<NetworkServiceEndpoint>>[0] = {
    kind: endpointKind,
    register: async (entry) => {
      registered.push(clock.now() - started);
      const expirationTime = toTimestamp(clock.now() + lifetime);
      return { entry: { ...entry, expirationTime }, path: { index: 0, tokens: [] } };
    },
    unregister: async () => undefined,
    follow: async () => undefined,
  };
  const entry = NetworkServiceEndpoint.fromPartial({ name: 'nse' });
  const keeper = keepRegistered(client, entry, { clock, random: () => 0 });
  await clock.advance(due);
  expect(registered).toEqual([0, due]);
  await keeper.stop();
});
