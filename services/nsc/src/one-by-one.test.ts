import { expect, test } from '@jest/globals';
import { chain, Scope, untraced } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { Connection } from '@nsm/proto';
import { oneByOne } from './one-by-one.ts';

test('a wire that was never up waits for those before it, a second at most; one that was up does not', async () => {
  const clock = createFakeClock(0);
  const element = chain(oneByOne(clock));
  const asked: string[] = [];
  const answers = new Map<string, () => void>();
  const ask = (id: string): Promise<unknown> =>
    element.run(
      {
        op: 'request',
        connection: Connection.fromPartial({ id }),
        preferences: [],
        token: undefined,
        deadline: undefined,
        signal: new AbortController().signal,
        trace: untraced,
        scope: new Scope(),
      },
      ({ connection }) => {
        asked.push(id);
        return new Promise((resolve) => answers.set(id, () => resolve(connection)));
      },
    );
  const [a, b] = [ask('a'), ask('b')];
  await clock.advance(0);
  expect(asked).toEqual(['a']);
  answers.get('a')?.();
  await a;
  await clock.advance(0);
  expect(asked).toEqual(['a', 'b']);

  void ask('a');
  void ask('c');
  await clock.advance(999);
  expect(asked.slice(2)).toEqual(['a']);
  await clock.advance(1);
  expect(asked.slice(2)).toEqual(['a', 'c']);
  answers.get('b')?.();
  await b;
});
