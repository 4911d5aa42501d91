import { expect, test } from '@jest/globals';
import { chain, Scope, untraced, type BaseCall } from '@nsm/chain';
import { createFakeClock, elementLaws } from '@nsm/chain/testing';
import { NetworkService } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { answer, type RegistryCall } from '../call.ts';
import { serviceKind } from '../kind.ts';
import { emptyPath, type RegistryPath } from '../registry-path.ts';
import { registerAbove } from './register-above.ts';

const entry = NetworkService.create({ name: 'web' });
const callOf = (base: Partial<BaseCall> = {}): RegistryCall<NetworkService> => ({
  op: 'register',
  entry,
  path: emptyPath,
  token: undefined,
  own: undefined,
  deadline: undefined,
  scope: new Scope(),
  signal: new AbortController().signal,
  trace: untraced,
  ...base,
});

/** A registry above, and what it was told. */
const world = () => {
  const above = new Map<string, NetworkService>();
  const seen = new Map<string, NetworkService>();
  const paths: (RegistryPath | undefined)[] = [];
  const answers = { fail: 0 };
  const clock = createFakeClock();
  const refuse = (): void => {
    if (answers.fail-- > 0) throw new NsmError('unavailable', 'away');
  };
  const client = {
    kind: serviceKind,
    register: async (sent: NetworkService) => {
      refuse();
      above.set(sent.name, sent);
      return { entry: { ...sent, payload: 'IP' }, path: { index: 1, tokens: ['a', 'b', 'c'] } };
    },
    unregister: async (
      { name }: NetworkService,
      { path }: { path?: RegistryPath | undefined } = {},
    ) => {
      refuse();
      paths.push(path);
      above.delete(name);
    },
  };
  const cache = {
    put: (known: NetworkService) => void seen.set(known.name, known),
    forget: (name: string) => void seen.delete(name),
  };
  return { above, seen, paths, answers, clock, make: () => registerAbove(client, cache, clock) };
};

elementLaws('register-above', () => {
  const { above, make } = world();
  return {
    element: () => make().element,
    call: (base) => callOf(base),
    answer: ({ entry: registered, path }) => ({ entry: registered, path }),
    state: () => new Map(above),
  };
});

test('an entry is taken back with the path of its answer, or of the Unregister that came', async () => {
  const { paths, make } = world();
  const { element, leaving } = make();
  for (const path of [undefined, { index: 1, tokens: ['x', 'y'] }]) {
    const call = callOf();
    await element.run(call, answer);
    if (path) leaving(call.scope, { ...call, op: 'unregister', path });
    expect(await call.scope.close()).toEqual([]);
  }
  expect(paths).toEqual([
    { index: 1, tokens: ['a', 'b', 'c'] },
    { index: 1, tokens: ['x', 'y'] },
  ]);
});

test('taking back is tried again while the registry above is away', async () => {
  const { above, answers, clock, seen, make } = world();
  const call = callOf();
  await make().element.run(call, answer);
  expect(seen.get('web')?.payload).toBe('IP');
  answers.fail = 2;
  const closed = call.scope.close();
  await clock.advance(400);
  expect(await closed).toEqual([]);
  expect(above.size + seen.size).toBe(0);
});

test('a registration that is refused takes nobody else off the registry above', async () => {
  const { above, paths, answers, make } = world();
  above.set('web', entry);
  answers.fail = 1;
  await expect(chain(make().element).run(callOf(), answer)).rejects.toThrow('away');
  expect(paths).toEqual([]);
  expect(above.has('web')).toBe(true);
});
