import { describe, expect, test } from '@jest/globals';
import { Scope, systemClock as clock, untraced } from '@nsm/chain';
import { createPolicies } from '@nsm/policy';
import { parties } from '@nsm/policy/testing';
import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { answer, type RegistryCall } from '../call.ts';
import { endpointKind, serviceKind, type Entry, type Kind } from '../kind.ts';
import { createMemoryStore } from '../memory-store.ts';
import { authorize } from './authorize.ts';
import { limitEntries } from './limit-entries.ts';

const { nse, other, manager, registry } = parties(['nse', 'other', 'manager', 'registry']);

/** What a registry hears of `of` through a manager, as update-path has left it. */
async function heard<T extends Entry>(
  op: RegistryCall<T>['op'],
  entry: T,
  of = nse,
): Promise<RegistryCall<T>> {
  const tokens = [
    await of.tokenFor(manager),
    await manager.tokenFor(registry),
    await registry.tokenFor(manager),
  ];
  return {
    op,
    entry: { ...entry, pathIds: [of.id, manager.id, registry.id] },
    path: { index: 2, tokens },
    peer: manager.peer,
    token: undefined,
    own: undefined,
    deadline: undefined,
    signal: new AbortController().signal,
    scope: new Scope(),
    trace: untraced,
  };
}
const judge = <T extends Entry>(kind: Kind<T>, there?: T) =>
  authorize<T>({ policies: createPolicies(), kind, get: () => there, clock });
const endpoint = NetworkServiceEndpoint.fromPartial({ name: 'web-1', url: 'tcp://a:1' });
const service = NetworkService.fromPartial({ name: 'web', payload: 'IP' });
const denied = { code: 'permission-denied', policy: 'client-allowed' };

describe('authorize', () => {
  test('lets the owner register and unregister, by another manager too', async () => {
    const there = { ...endpoint, pathIds: [nse.id, 'spiffe://nsm.test/another-manager'] };
    for (const op of ['register', 'unregister'] as const)
      await judge(endpointKind, there).run(await heard(op, endpoint), answer);
  });

  test.each(['register', 'unregister'] as const)('refuses others to %s a name', async (op) => {
    const there = { ...endpoint, pathIds: [nse.id] };
    const call = await heard(op, endpoint, other);
    await expect(judge(endpointKind, there).run(call, answer)).rejects.toMatchObject(denied);
  });

  test('lets the hop that an endpoint came through unregister it in its own name, and do no more', async () => {
    const there = { ...endpoint, pathIds: [nse.id, manager.id, registry.id] };
    const inOwnName = async (op: RegistryCall<NetworkServiceEndpoint>['op'], of = manager) => ({
      ...(await heard(op, endpoint, of)),
      path: { index: 1, tokens: [await of.tokenFor(registry), await registry.tokenFor(of)] },
      peer: of.peer,
    });
    const element = judge(endpointKind, there);
    await element.run(await inOwnName('unregister'), answer);
    await expect(element.run(await inOwnName('register'), answer)).rejects.toMatchObject(denied);
    const stranger = await inOwnName('unregister', other);
    await expect(element.run(stranger, answer)).rejects.toMatchObject(denied);
  });

  test('lets others say of a service what is said already, and leaves it to its owner', async () => {
    const there = { ...service, pathIds: [nse.id, manager.id, registry.id] };
    const element = judge(serviceKind, there);
    const { entry } = await element.run(await heard('register', service, other), answer);
    expect(entry.pathIds).toEqual(there.pathIds);
    const changed = { ...service, payload: 'ETHERNET' };
    await expect(
      element.run(await heard('register', changed, other), answer),
    ).rejects.toMatchObject(denied);
    await expect(
      element.run(await heard('unregister', service, other), answer),
    ).rejects.toMatchObject(denied);
  });

  test('refuses a registration without any token', async () => {
    const call = await heard('register', endpoint);
    const path = { index: 1, tokens: ['', call.path.tokens[2] ?? ''] };
    await expect(judge(endpointKind).run({ ...call, path }, answer)).rejects.toMatchObject({
      policy: 'tokens-valid',
    });
  });
});

test('one identity may own so many entries; those it has it may refresh, and others are not concerned', async () => {
  const store = createMemoryStore(endpointKind);
  const limited = limitEntries(store, 2);
  const register = async (name: string, of = nse): Promise<void> => {
    const call = await heard('register', { ...endpoint, name }, of);
    await limited.run(call, answer);
    await store.put(call.entry);
  };
  await register('a');
  await register('b');
  await expect(register('c')).rejects.toMatchObject({
    code: 'exhausted',
    limit: 'entries',
  });
  await register('b');
  await register('c', other);
  await store.delete('a');
  await register('d');
});
