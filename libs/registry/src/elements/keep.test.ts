import { describe, expect, test } from '@jest/globals';
import { chain, Scope, untraced } from '@nsm/chain';
import { elementLaws } from '@nsm/chain/testing';
import { NetworkServiceEndpoint } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { answer, type RegistryCall } from '../call.ts';
import { endpointKind } from '../kind.ts';
import { createMemoryStore } from '../memory-store.ts';
import { begin, createRegistrations } from '../registrations.ts';
import { emptyPath } from '../registry-path.ts';
import { keep, restoreFrom } from './keep.ts';

const entry = NetworkServiceEndpoint.create({ name: 'nse', url: 'tcp://x:1' });
const call = (
  op: 'register' | 'unregister',
  fields: Partial<RegistryCall<NetworkServiceEndpoint>> = {},
): RegistryCall<NetworkServiceEndpoint> => ({
  op,
  entry,
  path: emptyPath,
  token: undefined,
  own: undefined,
  deadline: undefined,
  scope: new Scope(),
  signal: new AbortController().signal,
  trace: untraced,
  ...fields,
});

elementLaws('keep', () => {
  const store = createMemoryStore(endpointKind);
  return {
    element: () => keep(store),
    call: (base) => call('register', base),
    answer: ({ entry: kept, path }) => ({ entry: kept, path }),
    state: () => store.list(),
  };
});

describe('a store that fails', () => {
  const world = () => {
    const store = createMemoryStore(endpointKind);
    const disk = { full: false };
    const refuse = (): void => {
      if (disk.full) throw new NsmError('unavailable', 'the disk is full');
    };
    const failing: typeof store = {
      ...store,
      put: async (kept) => {
        refuse();
        await store.put(kept);
      },
      delete: async (name) => {
        refuse();
        return store.delete(name);
      },
    };
    const below = keep(failing);
    const registrations = createRegistrations<NetworkServiceEndpoint>({
      restore: restoreFrom(failing, () => below),
    });
    return { store, disk, element: chain(begin(registrations), below), registrations };
  };

  test('fails a registration, and nothing of it is left', async () => {
    const { store, disk, element, registrations } = world();
    disk.full = true;
    await expect(element.run(call('register'), answer)).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(store.list()).toEqual([]);
    expect(registrations.names()).toEqual([]);
  });

  test('fails a refresh, and what was kept before is kept', async () => {
    const { store, disk, element } = world();
    await element.run(call('register'), answer);
    disk.full = true;
    const refresh = call('register', { entry: { ...entry, url: 'tcp://y:1' } });
    await expect(element.run(refresh, answer)).rejects.toThrow('the disk is full');
    expect(store.list()).toEqual([entry]);
  });

  test('fails an unregistration, which succeeds once it works again', async () => {
    const { store, disk, element } = world();
    await element.run(call('register'), answer);
    disk.full = true;
    await expect(element.run(call('unregister'), answer)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'nse could not be unregistered: the disk is full',
    });
    expect(store.list()).toEqual([entry]);
    disk.full = false;
    await element.run(call('unregister'), answer);
    expect(store.list()).toEqual([]);
  });
});
