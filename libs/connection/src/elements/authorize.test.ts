import { describe, expect, test } from '@jest/globals';
import { systemClock as clock } from '@nsm/chain';
import { createPolicies } from '@nsm/policy';
import { parties } from '@nsm/policy/testing';
import type { Connection } from '@nsm/proto';
import type { Call } from '../call.ts';
import { answerOf, callOf } from '../testing.ts';
import { authorize } from './authorize.ts';

const { client, manager, stranger } = parties(['client', 'manager', 'stranger']);

/** What a manager hears of `of`, as the elements above have left it. */
async function heardFrom(of: typeof client, change: Partial<Call> = {}): Promise<Call> {
  const pathSegments = [
    { name: 'nsc', id: 'nsc-0', token: await of.tokenFor(manager) },
    { name: 'mgr', id: 'mgr-0', token: await manager.tokenFor(of) },
    // What an earlier request has left to the right of this hop is not judged.
    { name: 'fwd', id: 'fwd-0', token: 'long expired' },
  ];
  const connection = { id: 'mgr-0', path: { index: 1, pathSegments } };
  return callOf(connection, { peer: of.peer, ...change });
}
const element = (established?: Connection, admins: readonly string[] = []) =>
  authorize({
    policies: createPolicies({ admins }),
    connections: { get: (id) => (id === established?.id ? established : undefined) },
    clock,
  });

describe('authorize', () => {
  test('lets through who has the tokens of its way, and whoever comes where nobody proves anything', async () => {
    const call = await heardFrom(client);
    expect(await answerOf(element(), call)).toBe(call.connection);
    const open = callOf({ id: 'a', path: { index: 0, pathSegments: [{ name: 'a', id: 'a' }] } });
    expect(await answerOf(element(), open)).toBe(open.connection);
  });

  test.each(['request', 'close'] as const)(
    'refuses a %s of a connection that somebody else has made, with the policy by name',
    async (op) => {
      const made = (await heardFrom(client)).connection;
      await answerOf(element(made), await heardFrom(client, { op }));
      await expect(
        answerOf(element(made), await heardFrom(stranger, { op })),
      ).rejects.toMatchObject({ code: 'permission-denied', policy: 'connection-owned' });
      await answerOf(element(made, [stranger.id]), await heardFrom(stranger, { op }));
    },
  );

  test('refuses the path of another client, brought by a stranger', async () => {
    await expect(
      answerOf(element(), await heardFrom(client, { peer: stranger.peer })),
    ).rejects.toMatchObject({ policy: 'prev-token-signed' });
  });
});
