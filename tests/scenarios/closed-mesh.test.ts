import { sign } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import type { Token } from '@nsm/identity';
import type { PolicySet } from '@nsm/policy';
import { Connection } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { startSecure, type Party, type Secure } from '../worlds/secure.ts';

let mesh: Secure | undefined;
afterEach(async () => mesh?.stop());

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that `signer` makes up: it says that it is of `sub`. */
async function madeUp(
  signer: Party,
  sub: string,
  aud: string,
  header: object = {},
): Promise<Token> {
  const { privateKey: key } = await signer.source.current();
  const seconds = Math.floor(Date.now() / 1_000) + 600;
  const text = `${json({ alg: 'ES256', ...header })}.${json({ sub, aud: [aud], exp: seconds })}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return {
    token: `${text}.${signature.toString('base64url')}`,
    expires: { seconds, nanos: 0 },
  };
}

/** A hop that was taken over asks the endpoint for a wire of a client that knows nothing of it. */
async function inventOrigin(set: PolicySet, header?: (of: Party) => Promise<object>) {
  mesh = await startSecure(set);
  const [victim, rogue] = [mesh.party('client'), mesh.party('rogue')];
  const claimed = await header?.(rogue);
  const first = await madeUp(rogue, victim.id, rogue.id, claimed);
  const path = Connection.fromPartial({
    path: {
      index: 1,
      pathSegments: [
        { name: 'client', id: 'c-0', ...first },
        { name: 'rogue', id: 'r-0' },
      ],
    },
  }).path;
  const before = mesh.state();
  const error = await rogue.ask(mesh.urls.endpoint, { path, id: 'r-0' }).then(
    () => undefined,
    (err: unknown) => NsmError.from(err),
  );
  return { error, changed: mesh.state() !== before };
}

test('in a closed mesh a hop cannot invent an origin, and is told by which policy', async () => {
  const { error, changed } = await inventOrigin('closed');
  expect(error).toMatchObject({
    code: 'permission-denied',
    policy: 'tokens-signed',
    hop: 'endpoint',
    element: 'authorize',
    message: expect.stringContaining('token 0: it does not carry the certificates of its signer'),
  });
  expect(changed).toBe(false);
});

test('nor with the certificates of its own, in any mesh of ours', async () => {
  for (const set of ['strict', 'closed'] as const) {
    const { error } = await inventOrigin(set, async ({ source }) => {
      const { certificates } = await source.current();
      return { x5c: certificates.map(({ raw }) => raw.toString('base64')) };
    });
    expect(error).toMatchObject({ policy: 'tokens-signed' });
    await mesh?.stop();
    mesh = undefined;
  }
});

test('where tokens need no certificates it can: that is what a closed mesh is for', async () => {
  const { error } = await inventOrigin('strict');
  expect(error).toBeUndefined();
});

test('in a closed mesh wires are made, refreshed and closed as in any other', async () => {
  mesh = await startSecure('closed');
  const client = mesh.party('client');
  const wire = await client.ask(mesh.urls.manager);
  const refreshed = await client.ask(mesh.urls.manager, { path: wire.path, id: wire.id });
  expect(refreshed.path!.pathSegments.map(({ id }) => id)).toEqual(
    wire.path!.pathSegments.map(({ id }) => id),
  );
  await client.close(mesh.urls.manager, refreshed);
  expect(mesh.connections.list()).toEqual([]);
});
