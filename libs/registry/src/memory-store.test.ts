import { describe, expect, test } from '@jest/globals';
import { NetworkServiceEndpoint } from '@nsm/proto';
import { endpointKind } from './kind.ts';
import { createMemoryStore } from './memory-store.ts';

const never = new AbortController().signal;
const all = NetworkServiceEndpoint.create();
const nse = (name: string, url = ''): NetworkServiceEndpoint =>
  NetworkServiceEndpoint.create({ name, url, networkServiceNames: ['s'] });

describe('a watch of a store', () => {
  test('tells what is there and each change after it, in order and with no gap', async () => {
    const store = createMemoryStore(endpointKind);
    await store.put(nse('a'));
    const watch = store.watch(all);
    expect(watch.snapshot).toEqual([nse('a')]);
    await store.put(nse('a', 'x'));
    await store.put(nse('b'));
    await store.delete('a');
    await store.close();
    const told: unknown[] = [];
    for await (const change of watch.changes(never)) told.push(change);
    expect(told).toEqual([
      { entry: nse('a', 'x'), deleted: false },
      { entry: nse('b'), deleted: false },
      { entry: nse('a', 'x'), deleted: true },
    ]);
    expect(store.revision).toBe(4);
  });

  test('that is not read fails alone, and holds up nobody', async () => {
    const store = createMemoryStore(endpointKind, 10);
    const slow = store.watch(all).changes(never);
    const fast = store.watch(all).changes(never);
    for (let i = 0; i < 11; i += 1) {
      await store.put(nse(`n${i}`));
      expect((await fast.next()).value).toMatchObject({ entry: { name: `n${i}` } });
    }
    await expect(slow.next()).rejects.toMatchObject({ code: 'exhausted' });
  });

  test('ends when its reader gives up', async () => {
    const controller = new AbortController();
    const reading = createMemoryStore(endpointKind).watch(all).changes(controller.signal).next();
    controller.abort();
    expect((await reading).done).toBe(true);
  });
});

test('a query by service finds by its index what a scan would', async () => {
  const store = createMemoryStore(endpointKind);
  await store.put(nse('a'));
  await store.put({ ...nse('b'), networkServiceNames: ['t', 's'] });
  await store.put({ ...nse('a'), networkServiceNames: ['t'] });
  const names = (services: string[]): string[] =>
    store
      .query(NetworkServiceEndpoint.create({ networkServiceNames: services }))
      .map(({ name }) => name);
  expect(names(['s'])).toEqual(['b']);
  expect(names(['t']).sort()).toEqual(['a', 'b']);
  expect(names(['t', 's'])).toEqual(['b']);
  expect(names(['u'])).toEqual([]);
});
