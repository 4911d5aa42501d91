import { expect, test } from '@jest/globals';
import type { ConnectionNext } from '../call.ts';
import { callOf } from '../testing.ts';
import { admit } from './admit.ts';

const segments = ['nsc', 'mgr', 'fwd'].map((name) => ({ name, id: name }));
const call = (id: string, index = 1, signal = new AbortController().signal) =>
  callOf({ id, path: { index, pathSegments: segments } }, { signal });
const settled = () => new Promise(setImmediate);

/** What is below: it answers when told to. */
const below = () => {
  const under = new Map<string, () => void>();
  const next: ConnectionNext = ({ connection }) =>
    new Promise((resolve) => under.set(connection.id, () => resolve(connection)));
  return { under, next };
};

test('so many go through at once, the others in the order they came', async () => {
  const { under, next } = below();
  const element = admit(2);
  const asked = ['a', 'b', 'c', 'd'].map((id) => element.run(call(id), next));
  await settled();
  expect([...under.keys()]).toEqual(['a', 'b']);
  under.get('b')?.();
  await asked[1];
  await settled();
  expect([...under.keys()]).toEqual(['a', 'b', 'c']);
  for (const id of ['a', 'c']) under.get(id)?.();
  await settled();
  under.get('d')?.();
  await Promise.all(asked);
});

test('who gives up while waiting leaves no hole', async () => {
  const { under, next } = below();
  const element = admit(1);
  const first = element.run(call('a'), next);
  const giving = new AbortController();
  const second = element.run(call('b', 1, giving.signal), next);
  const third = element.run(call('c'), next);
  giving.abort();
  await expect(second).rejects.toMatchObject({ code: 'cancelled' });
  under.get('a')?.();
  await first;
  await settled();
  expect([...under.keys()]).toEqual(['a', 'c']);
  under.get('c')?.();
  await third;
});

test('who has given up before it came is handed no place', async () => {
  const { under, next } = below();
  const element = admit(1);
  const first = element.run(call('a'), next);
  await settled();
  under.get('a')?.();
  const second = element.run(call('b', 1, AbortSignal.abort()), next);
  await expect(Promise.all([first, second])).rejects.toMatchObject({ code: 'cancelled' });
  const third = element.run(call('c'), next);
  await settled();
  expect([...under.keys()]).toEqual(['a', 'c']);
  under.get('c')?.();
  await third;
});

test('a place is free again after a failure, and other hops need none', async () => {
  const { under, next } = below();
  const element = admit(1);
  await expect(element.run(call('a'), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  const held = element.run(call('b'), next);
  const passing = element.run(call('c', 2), next);
  await settled();
  expect([...under.keys()].sort()).toEqual(['b', 'c']);
  for (const done of under.values()) done();
  await Promise.all([held, passing]);
});
